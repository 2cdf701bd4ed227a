//! What a server is started with, and what is known of it then.

use std::fs;

use test_helpers::run;

use crate::stage::{Stage, course, runs, state};

/// What the server wrote down, without the lines that depend on the machine.
fn record(stage: &Stage) -> String {
    let text = fs::read_to_string(stage.path("record")).expect("the server wrote it");
    let machine = ["directory", "umask", "files", "data", "processes"];
    let kept = text
        .lines()
        .filter(|line| !machine.iter().any(|name| line.starts_with(name)));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_daemon_has_clean_hands() {
    let stage = Stage::new();
    stage.scripted();
    stage.server("1", &format!("record = {}", stage.path("record").display()));
    // Ignored and blocked signals, and a descriptor too many, are inherited by swift-spawn.
    let line = "trap '' HUP INT; exec 9</dev/null; exec swift-spawn --keep-limits";
    let outcome = stage.shell(line, &stage.row("1"));
    assert_eq!(course(&outcome, "1"), "started ready", "{outcome}");
    let conf = stage.etc().join("object-server/1.conf");
    let wanted = format!(
        "name: swift-object-server\nargs: {}\nPYTHON_EGG_CACHE: /tmp\nNOTIFY_SOCKET: -\n\
         session: its own\nSigBlk: 0\nSigIgn: 0\n\
         descriptor 0: /dev/null\ndescriptor 1: pipe\ndescriptor 2: pipe\n",
        conf.display()
    );
    assert_eq!(record(&stage), wanted);
}

#[test]
fn the_row_says_who_was_started_and_when() {
    let stage = Stage::new();
    stage.server("1", "");
    let outcome = stage.spawn(&[], &stage.row("1"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    let rows = outcome.rows();
    assert_eq!(rows.len(), 2);
    assert_eq!(state(&rows[0]), ("started", "-"));
    assert_eq!(state(&rows[1]), ("ready", "-"));
    assert_eq!(rows[0][..5], rows[1][..5]);
    let (pid, start) = (&rows[0][3], &rows[0][4]);
    assert_eq!(fs::read_to_string(stage.pid_path("1")).unwrap(), *pid);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let field = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(19)
        .unwrap();
    assert_eq!(field, start);
}

#[test]
fn no_wait_gives_no_output_and_does_not_wait() {
    let stage = Stage::new();
    let (record, up) = (stage.path("record"), stage.fifo("up"));
    let lines = format!(
        "record = {}\nnever_close = true\ntell = {}",
        record.display(),
        up.display()
    );
    stage.server("1", &lines);
    let outcome = stage.spawn(&["--no-wait"], &stage.row("1"));
    assert_eq!(course(&outcome, "1"), "started", "{outcome}");
    drop(fs::File::open(up).expect("it comes up"));
    let text = fs::read_to_string(record).unwrap();
    assert!(text.contains("descriptor 1: /dev/null\ndescriptor 2: /dev/null\n"));
}

#[test]
fn pythons_cache_stays_where_the_caller_has_it() {
    let stage = Stage::new();
    let record = stage.path("record");
    stage.server("1", &format!("record = {}", record.display()));
    let mut command = stage.spawn_command(&["--once"]);
    command.env("PYTHON_EGG_CACHE", "/var/eggs");
    test_helpers::run_with(&mut command, stage.row("1").as_bytes(), test_helpers::LIMIT);
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains("PYTHON_EGG_CACHE: /var/eggs\n"), "{text}");
}

#[test]
fn limits_are_raised_unless_told_otherwise() {
    let stage = Stage::new();
    let record = stage.path("record");
    stage.server("1", &format!("record = {}", record.display()));
    stage.server("2", &format!("record = {}", record.display()));
    stage.conf("swift-init.toml", "");
    fs::write(
        stage.etc().join("swift-init.toml"),
        "[limits]\nfiles = 500\ndata = 1\nprocesses = 1\n",
    )
    .unwrap();
    let swift_dir = stage.etc();
    let line = |words: &str| {
        let dir = swift_dir.display();
        format!("ulimit -Sn 200; ulimit -Hn 800; exec swift-spawn --swift-dir {dir} {words}")
    };
    let outcome = stage.shell(&line(""), &stage.row("1"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    let outcome = stage.shell(&line("--keep-limits"), &stage.row("2"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    let text = fs::read_to_string(&record).unwrap();
    let files: Vec<&str> = text.lines().filter(|l| l.starts_with("files")).collect();
    assert_eq!(files, ["files: 500 800", "files: 200 800"]);
}

#[test]
fn a_limit_that_cannot_be_raised_is_told_once() {
    let stage = Stage::new();
    stage.server("1", "");
    stage.server("2", "");
    // More than the kernel gives anybody (fs.nr_open).
    fs::write(
        stage.etc().join("swift-init.toml"),
        "[limits]\nfiles = 4000000000\ndata = 1\nprocesses = 1\n",
    )
    .unwrap();
    let rows = stage.row("1") + &stage.row("2");
    let dir = stage.etc();
    let line = format!("swift-spawn --quiet --swift-dir {}", dir.display());
    let outcome = stage.shell(&line, &rows);
    assert_eq!(
        outcome.err(),
        "swift-spawn: cannot raise the file descriptor limit to 4000000000: \
         Operation not permitted\n"
    );
    assert_eq!(outcome.code(), 0);
    assert_eq!(course(&outcome, "2"), "started ready");
}

#[test]
fn what_runs_is_not_started_again() {
    let stage = Stage::new();
    stage.server("1", "");
    let row = stage.row("1");
    // The same row twice, too: the second look is under the lock, after the first start.
    let outcome = stage.spawn(&[], &(row.clone() + &row));
    let rows = outcome.rows();
    let mut states: Vec<&str> = rows.iter().map(|row| row[5].as_str()).collect();
    assert_eq!(states.remove(0), "started");
    states.sort_unstable();
    // Just after its exec a process has no command line yet.
    assert!(states == ["ready", "running"] || states == ["ready", "starting"]);
    let again = stage.spawn(&[], &row);
    assert_eq!(course(&again, "1"), "running");
    assert_eq!(again.rows()[0][3..5], outcome.rows()[0][3..5]);
    assert_eq!((outcome.code(), again.code()), (0, 0));
}

#[test]
fn what_lies_in_a_pid_file_is_replaced() {
    let stage = Stage::new();
    for (name, content) in [("1", "4194304"), ("2", "nonsense"), ("3", "1"), ("4", "")] {
        stage.server(name, "");
        stage.pid_file(&format!("object-server/{name}.pid"), content);
        let outcome = stage.spawn(&[], &stage.row(name));
        assert_eq!(course(&outcome, name), "started ready", "{outcome}");
        let pid = fs::read_to_string(stage.pid_path(name)).unwrap();
        assert!(runs(&pid), "{pid}");
    }
}

#[test]
fn its_own_number_in_an_old_pid_file_is_no_start_under_way() {
    let stage = Stage::new();
    stage.server("1", "");
    let line = "mkdir -p run/object-server; echo $$ >run/object-server/1.pid; \
                exec swift-spawn --keep-limits";
    let outcome = stage.shell(line, &stage.row("1"));
    assert_eq!(course(&outcome, "1"), "started ready", "{outcome}");
}

#[test]
fn other_rows_pass_as_they_are() {
    let stage = Stage::new();
    let rows = "object-server\t/e/object-server.conf\t/r/object-server.pid\t7\t8\trunning\t-\n\
                object-server\t-\t-\t-\t-\tunconfigured\tabsent\n\
                proxy-server\t/e/proxy-server.conf\t/r/proxy-server.pid\t-\t-\tmisconfigured\texit-1 a\\nb\n\
                proxy-server\t/e/proxy-server.conf\t/r/proxy-server.pid\t-\t-\torphan\tstale\n\
                proxy-server\t/e/proxy-server.conf\t/r/proxy-server.pid\t-\t-\tstopped\torphan\n";
    let outcome = stage.spawn(&[], rows);
    assert_eq!((outcome.out().as_str(), outcome.code()), (rows, 0));
}

#[test]
fn a_bad_line_hinders_no_other() {
    let stage = Stage::new();
    stage.server("1", "");
    let other = stage.row("1").replace("1.pid", "2.pid");
    let cut = stage.row("1").replace("absent\n", "absent");
    let rows = format!("nonsense\n{}{other}{cut}", stage.row("1"));
    let outcome = stage.spawn(&[], &rows);
    assert_eq!(outcome.code(), 2);
    let (run, etc) = (stage.run_dir(), stage.etc());
    let wanted = format!(
        "swift-spawn: line 1: 1 field instead of 7\n\
         swift-spawn: line 3: field 3: {}/object-server/2.pid is not the pid file of \
         {}/object-server/1.conf\n\
         swift-spawn: line 4: ends without a newline\n",
        run.display(),
        etc.display()
    );
    assert_eq!(outcome.err(), wanted);
    assert_eq!(course(&outcome, "1"), "started ready");
}

/// Fails when the umask of whoever starts a server decides: then monitoring cannot read its pid file,
/// or everybody can write it.
#[test]
fn pid_files_are_as_everybody_expects_them() {
    for umask in ["027", "077", "777", "000"] {
        let stage = Stage::new();
        stage.server("deep/er/1", "");
        let line = format!("umask {umask}; rm -r run; exec swift-spawn --keep-limits");
        let outcome = stage.shell(&line, &stage.row("deep/er/1"));
        assert_eq!(course(&outcome, "1"), "started ready", "{outcome}");
        let shown = run(stage.command("sh").args([
            "-c",
            "find run -printf '%P %m\n' | sort; cat run/object-server/deep/er/1.pid",
        ]));
        let pid = &outcome.rows()[0][3];
        let wanted = format!(
            " 755\n.swift-init.lock 600\nobject-server 755\nobject-server/deep 755\n\
             object-server/deep/er 755\nobject-server/deep/er/1.pid 644\n{pid}"
        );
        assert_eq!(shown.out(), wanted, "umask {umask}");
    }
}
