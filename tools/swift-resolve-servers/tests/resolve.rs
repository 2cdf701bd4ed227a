//! swift-resolve-servers on names and directories that no transcript can hold.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use test_helpers::{Outcome, Sandbox, run};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.install(&["object-server", "proxy-server"]);
    sandbox
}

fn resolve(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    let mut command = sandbox.command("swift-resolve-servers");
    command.args(["--swift-dir", "etc", "--run-dir", "run"]);
    run(command.args(args))
}

#[test]
fn a_name_may_hold_anything() {
    let sandbox = sandbox();
    let folder = sandbox.etc().join("object-server");
    fs::create_dir(&folder).unwrap();
    for name in [&b"a\tb\nc.conf"[..], b"\xff.conf", b" \\.conf", b"-.conf"] {
        fs::write(folder.join(OsStr::from_bytes(name)), "").unwrap();
    }
    let outcome = resolve(&sandbox, &["object"]);
    assert_eq!(outcome.code(), 0, "{outcome}");
    let pids: Vec<String> = outcome.rows().iter().map(|row| row[2].clone()).collect();
    let names = [r" \\", "-", r"a\tb\nc", r"\xff"];
    assert_eq!(
        pids,
        names.map(|name| format!("run/object-server/{name}.pid"))
    );
    // The next tool of a pipeline reads the same back.
    let mut next = sandbox.command("swift-pidfile");
    let answer = test_helpers::run_with(&mut next, &outcome.stdout, test_helpers::LIMIT);
    assert_eq!(answer.code(), 0, "{answer}");
    assert_eq!(
        answer
            .rows()
            .iter()
            .map(|row| row[2].clone())
            .collect::<Vec<_>>(),
        pids
    );
}

#[test]
fn a_number_that_is_too_large_tells_what_there_is() {
    let sandbox = sandbox();
    let one = sandbox.conf("object-server/1.conf", "");
    let two = sandbox.conf("object-server/2.conf", "");
    let outcome = resolve(&sandbox, &["-c", "3", "object"]);
    let detail = format!(
        r"absent number 3 of 2\n{}\n{}",
        one.display(),
        two.display()
    );
    assert_eq!(outcome.code(), 1);
    assert_eq!(outcome.rows()[0][5..], ["unconfigured".into(), detail]);
    assert_eq!(
        outcome.err(),
        "swift-resolve-servers: cannot find a config (object-server): number 3 of 2\n"
    );
}

/// Fails when nothing is said in the rows of what could not be looked for: whoever reads them would say
/// that nothing runs.
#[test]
fn a_run_directory_that_is_none_is_a_row_of_each_server() {
    let sandbox = sandbox();
    sandbox.conf("proxy-server.conf", "");
    fs::remove_dir(sandbox.run_dir()).unwrap();
    let missing = resolve(&sandbox, &["proxy"]);
    assert_eq!((missing.code(), missing.err().as_str()), (0, ""));
    fs::write(sandbox.run_dir(), "").unwrap();
    let unread =
        |server: &str, why: &str| format!("{server}\t-\t-\t-\t-\torphan\tunreadable run: {why}\n");
    let outcome = resolve(&sandbox, &["proxy"]);
    let rows = missing.out() + &unread("proxy-server", "not a directory");
    assert_eq!((outcome.code(), outcome.out()), (1, rows), "{outcome}");
    let told = "swift-resolve-servers: cannot read run: not a directory\n";
    assert_eq!(outcome.err(), told);
    fs::remove_file(sandbox.run_dir()).unwrap();
    std::os::unix::fs::symlink("gone", sandbox.run_dir()).unwrap();
    let outcome = resolve(&sandbox, &["-q", "object"]);
    let why = "run is a symbolic link that leads nowhere";
    assert!(
        outcome.out().ends_with(&unread("object-server", why)),
        "{outcome}"
    );
    assert_eq!(outcome.code(), 1, "{outcome}");
    // Pid files are looked for with a number as well, but not orphans.
    let outcome = resolve(&sandbox, &["-c", "1", "proxy"]);
    assert_eq!((outcome.code(), outcome.out()), (0, missing.out()));
}

/// Whoever took what runs for an orphan would stop it and not start it again. Fails when a config that
/// cannot be understood counts as none.
#[test]
fn a_pid_file_whose_config_cannot_be_understood_is_no_orphan() {
    let sandbox = sandbox();
    sandbox.install(&["object-expirer"]);
    sandbox.pid_file("object-expirer.pid", "1");
    fs::write(sandbox.etc().join("object-server.conf"), "no section\n").unwrap();
    let outcome = resolve(&sandbox, &["-q", "object-expirer"]);
    assert_eq!(outcome.code(), 3, "{outcome}");
    let states: Vec<String> = outcome.rows().iter().map(|row| row[5].clone()).collect();
    assert_eq!(states, ["unconfigured"], "{outcome}");
    fs::write(sandbox.etc().join("object-server.conf"), "[DEFAULT]\n").unwrap();
    let outcome = resolve(&sandbox, &["-q", "object-expirer"]);
    assert_eq!(outcome.rows()[1][5], "orphan", "{outcome}");
}

#[test]
fn a_pid_file_behind_a_link_is_no_orphan() {
    let sandbox = sandbox();
    sandbox.pid_file("object-server/1.pid", "1");
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("2.pid"), "1").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), sandbox.run_dir().join("object-server-x"))
        .unwrap();
    std::os::unix::fs::symlink("1.pid", sandbox.run_dir().join("object-server/3.pid")).unwrap();
    let outcome = resolve(&sandbox, &["-q", "object"]);
    let pids: Vec<String> = outcome.rows().iter().map(|row| row[2].clone()).collect();
    assert_eq!(pids, ["-", "run/object-server/1.pid"], "{outcome}");
}

#[test]
fn names_are_unix_words_and_paths_are_bytes() {
    let sandbox = sandbox();
    let mut command = sandbox.command("swift-resolve-servers");
    let outcome = run(command.arg(OsStr::from_bytes(b"\xff")));
    assert_eq!(outcome.code(), 2);
    assert_eq!(
        outcome.err(),
        "swift-resolve-servers: not a server's name: '\\xff' (see swift-resolve-servers --help)\n"
    );
    // A name cannot lead out of where programs and configs lie.
    let outcome = resolve(&sandbox, &["../../bin/sh-server"]);
    assert_eq!((outcome.code(), outcome.out().as_str()), (1, ""));
}
