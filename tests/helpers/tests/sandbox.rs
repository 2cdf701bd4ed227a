//! The sandboxes and the fake server do what other tests believe of them.

use std::fs;
use std::io::Read;

use test_helpers::{Sandbox, run};

/// Runs a line of shell in the sandbox and gives what it said.
fn shell(sandbox: &Sandbox, line: &str) -> String {
    let outcome = run(sandbox.command("sh").args(["-c", line]));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""), "{line}");
    outcome.out()
}

/// Whether a process runs; a zombie does not, and has no command line.
fn runs(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_server_is_ready_when_its_output_ends() {
    let sandbox = Sandbox::new();
    sandbox.install(&["object-server"]);
    let conf = sandbox.conf("object-server.conf", r"print = hello\n");
    let line = format!("(swift-object-server {} &) | cat", conf.display());
    assert_eq!(shell(&sandbox, &line), "hello\n");
}

#[test]
fn what_was_started_ends_with_the_sandbox() {
    let sandbox = Sandbox::new();
    sandbox.install(&["object-server"]);
    let conf = sandbox.conf(
        "object-server.conf",
        "workers = 1\nlinger = true\nhold_output = true",
    );
    let line = format!(
        "mkfifo up; echo 'tell = up' >> {0}; swift-object-server {0} & <up echo $!",
        conf.display()
    );
    let pid = shell(&sandbox, &line).trim().to_owned();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("alive");
    let all: Vec<&str> = children.split_whitespace().chain([pid.as_str()]).collect();
    assert_eq!(all.len(), 3);
    drop(sandbox);
    assert!(!all.iter().any(|pid| runs(pid)), "{all:?}");
}

#[test]
fn a_worker_has_the_command_line_of_its_server() {
    let sandbox = Sandbox::new();
    sandbox.install(&["object-server"]);
    sandbox.conf("object-server.conf", "workers = 1\ntell = up");
    let line = "mkfifo up; swift-object-server etc/object-server.conf & <up echo $!";
    let pid = shell(&sandbox, line).trim().to_owned();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("alive");
    let command_line = |pid: &str| fs::read(format!("/proc/{pid}/cmdline")).expect("alive");
    assert_eq!(
        command_line(children.trim()),
        b"swift-object-server\0etc/object-server.conf\0"
    );
    assert_eq!(command_line(children.trim()), command_line(&pid));
}

#[test]
fn a_script_leads_to_the_same_server() {
    let sandbox = Sandbox::new();
    sandbox.install_script("object-server");
    sandbox.conf("object-server.conf", "record = record");
    shell(&sandbox, "swift-object-server etc/object-server.conf once");
    let record = fs::read_to_string(sandbox.path("record")).expect("it was written");
    assert!(record.starts_with("name: swift-object-server\nargs: etc/object-server.conf once\n"));
}

#[test]
fn a_namespace_shows_the_sandbox_in_its_places() {
    let sandbox = Sandbox::in_namespace();
    sandbox.install(&["object-server"]);
    sandbox.conf("object-server.conf", "");
    sandbox.pid_file("object-server.pid", "1");
    let line = "cd /; echo $$ >&1; ls /etc/swift /run/swift /etc/passwd";
    let told = shell(&sandbox, line);
    let mut lines = told.lines();
    let pid: u32 = lines.next().expect("a pid").parse().expect("a pid");
    assert!(pid < 1000, "{pid} is a pid of the machine");
    let rest: Vec<&str> = lines.collect();
    let wanted = [
        "/etc/passwd",
        "",
        "/etc/swift:",
        "object-server.conf",
        "",
        "/run/swift:",
        "object-server.pid",
    ];
    assert_eq!(rest, wanted);
}

#[test]
fn a_namespace_ends_with_all_that_runs_in_it() {
    let sandbox = Sandbox::in_namespace();
    let outside = tempfile::tempdir().expect("a temporary directory");
    let fifo = outside.path().join("fifo").display().to_string();
    shell(
        &sandbox,
        &format!("mkfifo {fifo}; setsid sleep 60 >{fifo} &"),
    );
    let mut held = fs::File::open(&fifo).expect("it is there");
    drop(sandbox);
    assert_eq!(held.read(&mut [0]).expect("it can be read"), 0);
}
