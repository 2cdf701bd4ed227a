//! swift-check-config on servers that take their time, say much, and hang.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use test_helpers::{LIMIT, Outcome, Sandbox, run, run_with};

/// A sandbox whose object server checks its config with this line of shell, where `$1` is the config.
fn with_check(line: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let program = sandbox.path("bin/swift-object-server");
    fs::write(&program, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    sandbox
}

fn rows(names: &[&str]) -> String {
    let row = |name: &&str| {
        format!(
            "object-server\tetc/object-server/{name}.conf\trun/object-server/{name}.pid\t-\t-\tstopped\tabsent\n"
        )
    };
    names.iter().map(row).collect()
}

fn check(sandbox: &Sandbox, args: &[&str], rows: &str) -> Outcome {
    let mut command = sandbox.command("swift-check-config");
    run_with(command.args(args), rows.as_bytes(), LIMIT)
}

fn details(outcome: &Outcome) -> Vec<String> {
    outcome
        .rows()
        .iter()
        .map(|row| format!("{} {}", row[5], row[6]))
        .collect()
}

#[test]
fn all_checks_run_at_once_and_rows_keep_their_order() {
    // The first check ends when the second one says so.
    let sandbox = with_check("case $1 in */1.conf) read line < go;; *) echo > go; exit 1;; esac");
    assert!(
        sandbox
            .command("mkfifo")
            .arg("go")
            .status()
            .unwrap()
            .success()
    );
    let outcome = check(&sandbox, &["-q"], &rows(&["1", "2"]));
    assert_eq!((outcome.code(), outcome.err().as_str()), (1, ""));
    assert_eq!(
        details(&outcome),
        ["stopped absent", "misconfigured exit-1"]
    );
}

#[test]
fn a_check_that_hangs_is_ended_with_all_its_children() {
    let sandbox = with_check("exec 3> held; sleep 600 & wait");
    fs::write(sandbox.path("rows"), rows(&["1"])).unwrap();
    // The one who reads sees the end when the last of them is gone.
    let line = "mkfifo held; cat held & swift-check-config --timeout 1 < rows; status=$?; wait; exit $status";
    let outcome = run(sandbox.command("sh").args(["-c", line]));
    assert_eq!(outcome.code(), 1);
    assert_eq!(details(&outcome), ["misconfigured timeout"]);
    assert_eq!(
        outcome.err(),
        "swift-check-config: cannot use etc/object-server/1.conf (object-server): timeout\n"
    );
}

#[test]
fn what_a_server_prints_is_kept_to_the_byte() {
    let sandbox = with_check(r"printf 'tab\there\\\n\377\033[31m'; kill -9 $$");
    let outcome = check(&sandbox, &["-q"], &rows(&["1"]));
    assert_eq!(
        details(&outcome),
        [r"misconfigured signal-9 tab\there\\\n\xff\x1b[31m"]
    );
}

#[test]
fn of_a_long_output_the_two_ends_are_kept() {
    let sandbox = with_check("yes 'a line' | head -c 1000000; echo the end; exit 3");
    let outcome = check(&sandbox, &["-q"], &rows(&["1"]));
    let detail = details(&outcome).remove(0);
    assert!(detail.starts_with(r"misconfigured exit-3 a line\na line\n"));
    assert!(detail.ends_with(r"the end\n"));
    assert!(detail.len() < 100_000, "{}", detail.len());
}

#[test]
fn a_server_that_cannot_be_executed_says_why() {
    let sandbox = with_check("");
    fs::write(
        sandbox.path("bin/swift-object-server"),
        "#!/no/such/python\n",
    )
    .unwrap();
    let outcome = check(&sandbox, &["-q"], &rows(&["1"]));
    assert_eq!(details(&outcome), ["misconfigured exec-missing"]);
}

#[test]
fn the_check_is_asked_with_the_config_and_the_option() {
    let sandbox = with_check(r#"echo "$# $0 $1 $2"; read line || echo no input; exit 1"#);
    let outcome = check(&sandbox, &["-q"], &rows(&["1"]));
    let program = sandbox.path("bin/swift-object-server");
    let text = format!(
        r"2 {} etc/object-server/1.conf --test-config\nno input\n",
        program.display()
    );
    assert_eq!(details(&outcome), [format!("misconfigured exit-1 {text}")]);
}

#[test]
fn rows_from_a_pipe_are_checked_as_they_come() {
    let sandbox = with_check("echo > begun");
    assert!(
        sandbox
            .command("mkfifo")
            .arg("begun")
            .status()
            .unwrap()
            .success()
    );
    let mut command = sandbox.command("swift-check-config");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(rows(&["1"]).as_bytes()).unwrap();
    // The check has begun while the input is still open.
    assert_eq!(fs::read_to_string(sandbox.path("begun")).unwrap(), "\n");
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), rows(&["1"]));
}

/// Fails when the server's own check is run, which waits for a writer.
#[test]
fn a_config_that_is_a_fifo_is_refused_at_once() {
    let sandbox = with_check("cat $1");
    let config = sandbox.etc().join("object-server");
    fs::create_dir(&config).unwrap();
    let row = rows(&["1"])
        .replace("1.conf", "1.conf.d")
        .replace("1.pid", "1.pid.d");
    let refused = |rows: &str, path: &str| {
        let outcome = check(&sandbox, &["-q", "--timeout", "1"], rows);
        assert_eq!(outcome.code(), 1, "{outcome}");
        let detail = format!("misconfigured file etc/object-server/{path}: a fifo");
        assert_eq!(details(&outcome), [detail]);
    };
    for (path, rows) in [("1.conf", rows(&["1"])), ("1.conf.d/a.conf", row)] {
        let file = config.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        run(sandbox.command("mkfifo").arg(&file));
        refused(&rows, path);
    }
}
