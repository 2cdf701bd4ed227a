//! Starts that fail, and what they leave alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use test_helpers::tools_dir;

use crate::site::{ADDRESS, HELLO, Site};

/// Fails when the orphaned workers are told to leave for an address that they cannot have.
#[test]
fn a_start_that_fails_leaves_orphaned_workers_alone() {
    let site = Site::new();
    let pid = site.start();
    site.must(&format!("kill -KILL {pid}"));
    let bound = site.sandbox.path("bound");
    let bound = bound.display();
    site.must(&format!(
        "python3 -c 'import socket, signal; s = socket.create_server((\"127.0.0.1\", 9090)); \
         open(\"{bound}\", \"w\"); signal.pause()' >/dev/null 2>&1 &"
    ));
    site.until("the other address is in use", || {
        site.sh(&format!("test -e {bound}")).code() == 0
    });
    let more = HELLO.replace("{bind_port}\"]", "{bind_port}\", \"127.0.0.1:9090\"]");
    site.file(&more.replace("bind_timeout = 10", "bind_timeout = 4"));
    let outcome = site.sh("swift-init hello-server start");
    assert!(outcome.out().contains("9090"), "{outcome}");
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert_eq!(site.told("generation"), "1");
    site.file(HELLO);
    site.must("swift-init hello-server start");
    site.until("the next start takes over", || {
        site.told("generation") == "2"
    });
}

/// Writes the file of a server that is started by hand.
fn by_hand(site: &Site, more: &str) -> PathBuf {
    let file = site.sandbox.path("hello.toml");
    let worker = tools_dir().join("http-worker");
    let text = format!(
        "listen=[\"{ADDRESS}\"]\ncommand=[\"{}\",\"notify\",\"text=hello\"]\n{more}",
        worker.display()
    );
    fs::write(&file, text).expect("the sandbox is ours");
    file
}

/// Starts it, and returns the pid of the shell's child once it answers.
fn answers(site: &Site, serve: &str) -> String {
    let started = site.must(&format!("{serve} >/dev/null 2>&1 & echo $!"));
    site.until("it answers", || {
        site.sh(&format!("http-client get {ADDRESS} /")).code() == 0
    });
    started.out().trim().to_owned()
}

/// Fails when a manager is known by its command line alone.
#[test]
fn a_second_start_leaves_the_pid_file_of_the_first() {
    let site = Site::new();
    let file = by_hand(&site, "bind_timeout = 1\n");
    let pid_file = site.sandbox.path("hello.pid");
    let serve = format!(
        "SWIFT_PIDFILE={} swift-serve -v {}",
        pid_file.display(),
        file.display()
    );
    answers(&site, &serve);
    let pid = fs::read_to_string(&pid_file).expect("it is written");
    let second = site.sh(&serve);
    assert_eq!(second.code(), 1, "{second}");
    assert!(
        second.err().contains("runs already: stop it first"),
        "{second}"
    );
    assert_eq!(fs::read_to_string(&pid_file).ok(), Some(pid.clone()));
    site.must(&format!("kill {}", pid.trim()));
}

/// Fails when what lies at the program's path decides whose name the process bears.
#[test]
fn a_script_in_the_place_of_the_program_is_executed() {
    let site = Site::new();
    let file = by_hand(&site, "");
    let program = site.sandbox.path("bin/serve");
    let real = tools_dir().join("swift-serve");
    site.must(&format!("cp {} {}", real.display(), program.display()));
    let line = format!("{} -v {}", program.display(), file.display());
    let pid = answers(&site, &line);
    let script = site.sandbox.path("bin/script");
    fs::write(
        &script,
        format!("#!/bin/sh\nexec {} \"$@\"\n", real.display()),
    )
    .expect("the sandbox is ours");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::rename(&script, &program).expect("it is ours");
    site.must(&format!("kill -USR1 {pid}"));
    site.until("it is reloaded", || site.told("generation") == "2");
    site.must(&format!("swift-serve --status {pid}"));
    site.must(&format!("kill {pid}"));
}
