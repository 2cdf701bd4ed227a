//! swift-pidfile on processes that run, hide, pretend and end.

use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use swift_server::process::{Pid, Process};
use swift_sys::signal::Signal;
use test_helpers::{LIMIT, Outcome, Sandbox, run, run_with};

/// A sandbox with one object server that runs, and its pid.
fn with_server() -> (Sandbox, PathBuf, String) {
    let sandbox = Sandbox::new();
    sandbox.install(&["object-server"]);
    let conf = sandbox.conf("object-server/1.conf", "tell = up");
    let pid = start(&sandbox, &conf);
    sandbox.pid_file("object-server/1.pid", &pid);
    (sandbox, conf, pid)
}

/// Starts an object server that makes the event `up` happen, and gives its pid.
fn start(sandbox: &Sandbox, conf: &Path) -> String {
    let line = "mkfifo up; swift-object-server $CONF & <up echo $!";
    let outcome = run(sandbox.command("sh").args(["-c", line]).env("CONF", conf));
    assert_eq!(outcome.code(), 0, "{outcome}");
    outcome.out().trim().to_owned()
}

/// The row of an object server's config as swift-resolve-servers has it.
fn row(sandbox: &Sandbox, name: &str, state: &str) -> String {
    let (etc, run) = (sandbox.etc(), sandbox.run_dir());
    let (etc, run) = (etc.display(), run.display());
    format!(
        "object-server\t{etc}/object-server/{name}.conf\t{run}/object-server/{name}.pid\t-\t-\t{state}\t-\n"
    )
}

fn pidfile(sandbox: &Sandbox, args: &[&str], rows: &str) -> Outcome {
    let mut command = sandbox.command("swift-pidfile");
    run_with(command.args(args), rows.as_bytes(), LIMIT)
}

/// The columns pid, start, state and detail of the only row.
fn told(outcome: &Outcome) -> [String; 4] {
    let mut rows = outcome.rows();
    assert_eq!(rows.len(), 1, "{outcome}");
    rows.remove(0)
        .split_off(3)
        .try_into()
        .expect("seven columns")
}

fn start_time(pid: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    rest.split_whitespace()
        .nth(19)
        .expect("field 22")
        .to_owned()
}

#[test]
fn a_server_that_runs_is_proven() {
    let (sandbox, _, pid) = with_server();
    let outcome = pidfile(&sandbox, &[], &row(&sandbox, "1", "configured"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    assert_eq!(told(&outcome), [&pid, &start_time(&pid), "running", "-"]);
}

#[test]
fn an_orphan_that_runs_is_both() {
    let (sandbox, conf, pid) = with_server();
    fs::remove_file(conf).unwrap();
    let outcome = pidfile(&sandbox, &["--clean"], &row(&sandbox, "1", "orphan"));
    assert_eq!(
        told(&outcome),
        [&pid, &start_time(&pid), "running", "orphan"]
    );
    let again = pidfile(&sandbox, &["--running"], &outcome.out());
    assert_eq!(again.out(), outcome.out());
}

#[test]
fn whoever_else_has_the_pid_is_not_the_server() {
    let (sandbox, conf, pid) = with_server();
    // Another instance of the same server, a reader of the config, a server of a longer name.
    sandbox.pid_file("object-server/2.pid", &pid);
    let mut reader = sleeper("tail")
        .args(["-f", conf.to_str().unwrap()])
        .spawn()
        .unwrap();
    sandbox.pid_file("object-server/3.pid", reader.id().to_string());
    let rows = ["2", "3"]
        .map(|name| row(&sandbox, name, "configured"))
        .concat();
    let outcome = pidfile(&sandbox, &["--clean"], &rows);
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    for (row, pid) in outcome.rows().iter().zip([&pid, &reader.id().to_string()]) {
        assert_eq!(row[3..], [pid, "-", "stopped", "wrong-process"]);
        assert!(!Path::new(&row[2]).exists());
    }
    assert!(reader.try_wait().unwrap().is_none());
    end(reader);
}

/// The rows of another swift directory, a copy or a misspelt one, lead to the same pid files.
#[test]
fn another_swift_directory_takes_no_pid_file_away() {
    let (sandbox, conf, pid) = with_server();
    let there = row(&sandbox, "1", "configured");
    let copy = |state| row(&sandbox, "1", state).replacen("/etc/", "/copy/", 1);
    let copied = copy("configured").split('\t').nth(1).unwrap().to_owned();
    let path = sandbox.run_dir().join("object-server/1.pid");
    let said = format!(
        "swift-pidfile: {} (object-server): {pid} runs with {}, not {copied}\n",
        path.display(),
        conf.display(),
    );
    let detail = format!("config {}", conf.display());
    for (args, rows) in [
        (&[][..], copy("configured")),
        (&["--clean"], copy("configured")),
        (&["--clean"], copy("orphan")),
        (&["--running"], copy("orphan")),
    ] {
        let outcome = pidfile(&sandbox, args, &rows);
        assert_eq!(
            (outcome.code(), outcome.err()),
            (1, said.clone()),
            "{args:?}"
        );
        let wanted = [&pid, &start_time(&pid), "wrong-config", &detail];
        assert_eq!(told(&outcome), wanted, "{args:?}");
        let again = pidfile(&sandbox, &["-q", "--clean"], &outcome.out());
        assert_eq!((again.out(), again.err()), (outcome.out(), String::new()));
    }
    let outcome = pidfile(&sandbox, &[], &there);
    assert_eq!(told(&outcome)[2..], ["running", "-"]);
}

/// Of a row that was `wrong-config`, it is not known that it is an orphan.
#[test]
fn an_orphan_that_was_another_servers_is_never_stopped() {
    let (sandbox, _, pid) = with_server();
    let rows = row(&sandbox, "1", "orphan").replacen("/etc/", "/copy/", 1);
    let outcome = pidfile(&sandbox, &["-q"], &rows);
    assert_eq!(told(&outcome)[2], "wrong-config");
    end_by_pid(&pid);
    let outcome = pidfile(&sandbox, &[], &outcome.out());
    assert_eq!(told(&outcome)[2..], ["orphan", "stale"]);
}

/// Fails when another config alone makes a pid file one that lies: nobody else tracks this process.
#[test]
fn a_pid_file_that_alone_knows_of_a_server_stays() {
    let (sandbox, conf, pid) = with_server();
    let from = sandbox.run_dir().join("object-server/1.pid");
    let to = sandbox.run_dir().join("object-server/2.pid");
    fs::rename(from, &to).unwrap();
    let rows = row(&sandbox, "2", "configured");
    let outcome = pidfile(&sandbox, &["-q", "--clean"], &rows);
    let detail = format!("config {}", conf.display());
    assert_eq!(told(&outcome)[2..], ["wrong-config".to_owned(), detail]);
    assert_eq!(fs::read_to_string(to).unwrap(), pid);
}

#[test]
fn a_process_that_ended_is_gone_though_nobody_waited() {
    let (sandbox, ..) = with_server();
    let mut zombie = sleeper("cat").stdin(Stdio::piped()).spawn().unwrap();
    sandbox.pid_file("object-server/1.pid", zombie.id().to_string());
    let mut output = zombie.stdout.take().unwrap();
    drop(zombie.stdin.take());
    // Its output ends shortly before it does; the next look may still see it end.
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    let outcome = pidfile(&sandbox, &[], &row(&sandbox, "1", "configured"));
    let [_, _, state, detail] = told(&outcome);
    assert_eq!(state, "stopped");
    assert!(
        ["stale", "wrong-process"].contains(&detail.as_str()),
        "{detail}"
    );
    zombie.wait().unwrap();
}

#[test]
fn a_file_that_came_true_under_the_lock_stays() {
    let (sandbox, _, pid) = with_server();
    let path = sandbox.pid_file("object-server/1.pid", "2147483647");
    let lock = File::create(sandbox.run_dir().join(".swift-init.lock")).unwrap();
    lock.lock().unwrap();
    let mut command = sandbox.command("swift-pidfile");
    command
        .arg("--clean")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(row(&sandbox, "1", "configured").as_bytes())
        .unwrap();
    drop(input);
    // Whether it saw the old number or not by now: it may not act on it before we let go.
    fs::write(&path, &pid).unwrap();
    drop(lock);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with(&format!("\t{pid}\t{}\trunning\t-\n", start_time(&pid))),
        "{text}"
    );
    assert_eq!(fs::read_to_string(path).unwrap(), pid);
}

#[test]
fn a_file_that_everybody_may_write_is_warned_of() {
    let (sandbox, _, pid) = with_server();
    let path = sandbox.run_dir().join("object-server/1.pid");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let outcome = pidfile(&sandbox, &["-q"], &row(&sandbox, "1", "configured"));
    let warning = format!(
        "swift-pidfile: {} (object-server): writable by everybody\n",
        path.display()
    );
    assert_eq!((outcome.code(), outcome.err()), (0, warning));
    assert_eq!(told(&outcome)[0], pid);
}

#[test]
fn each_row_is_answered_at_once() {
    let (sandbox, ..) = with_server();
    let mut command = sandbox.command("swift-pidfile");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for name in ["1", "2"] {
        input
            .write_all(row(&sandbox, name, "configured").as_bytes())
            .unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.contains(&format!("/{name}.pid\t")), "{line}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_is_gone_ends_it_without_a_word() {
    let (sandbox, ..) = with_server();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command("swift-pidfile");
    command
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    // The input stays open: it is the lost reader that ends it.
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(row(&sandbox, "1", "configured").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(1), Vec::new()));
}

/// Runs a line of shell in a namespace where a server runs, as in with_server.
fn in_namespace(line: &str) -> Outcome {
    let sandbox = Sandbox::in_namespace();
    sandbox.install(&["object-server"]);
    sandbox.conf("object-server.conf", "tell = /run/up");
    let line = format!(
        "mkfifo /run/up; swift-object-server /etc/swift/object-server.conf & </run/up echo -n $! > /run/swift/object-server.pid\n\
         rows='object-server\t/etc/swift/object-server.conf\t/run/swift/object-server.pid\t-\t-\tconfigured\t-'\n{line}"
    );
    run(sandbox.command("sh").args(["-c", &line]))
}

#[test]
fn what_cannot_be_removed_stays_and_says_so() {
    let outcome = in_namespace(
        "kill $!; wait $!; mount -o remount,bind,ro /run/swift; echo \"$rows\" | swift-pidfile --clean",
    );
    assert_eq!(outcome.code(), 1, "{outcome}");
    let [_, start, state, detail] = told(&outcome);
    assert_eq!((start.as_str(), state.as_str()), ("-", "stopped"));
    let why = "cannot lock /run/swift/.swift-init.lock: Read-only file system";
    assert_eq!(detail, format!("stale kept {why}"));
    let said = "swift-pidfile: cannot remove /run/swift/object-server.pid (object-server)";
    assert!(
        outcome.err().ends_with(&format!("{said}: {why}\n")),
        "{outcome}"
    );
}

/// As another user, which only root can become.
const AS_NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";

#[test]
fn a_server_of_another_user_is_denied() {
    if !is_root() {
        return;
    }
    let outcome = in_namespace(&format!(
        "echo \"$rows\" | {AS_NOBODY} $(which swift-pidfile)"
    ));
    let [_, start, state, detail] = told(&outcome);
    assert_eq!(
        (outcome.code(), state.as_str(), detail.as_str()),
        (0, "denied", "permission")
    );
    assert_ne!(start, "-");
}

#[test]
fn a_process_that_proc_hides_is_not_taken_for_gone() {
    if !is_root() {
        return;
    }
    let outcome = in_namespace(&format!(
        "chmod 777 /run/swift; mount -o remount,hidepid=invisible /proc; \
         echo \"$rows\" | {AS_NOBODY} $(which swift-pidfile) --clean; cat /run/swift/object-server.pid >&2"
    ));
    let [_, _, state, detail] = told(&outcome);
    assert_eq!(state, "stopped");
    let why = "its process: it lives, and /proc does not show it";
    assert_eq!(detail, format!("unreadable {why}"));
    assert!(
        outcome.err().ends_with(|c: char| c.is_ascii_digit()),
        "{outcome}"
    );
}

/// Kills a process that is no child of this one, and waits until it has ended.
fn end_by_pid(pid: &str) {
    let pid = Pid::parse(pid.as_bytes()).unwrap();
    let process = Process::open(pid).unwrap().unwrap();
    process.signal(Signal::KILL).unwrap();
    swift_sys::fd::wait_readable(&process).unwrap();
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

fn sleeper(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
