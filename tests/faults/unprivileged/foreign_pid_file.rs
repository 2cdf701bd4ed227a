//! A user who owns the run directory, and root, who acts on what lies in it.

use std::process::Stdio;

use test_helpers::Sandbox;

use super::{OWNER, as_user, fixture};
use crate::assertions::{must, servers, sh};
use crate::failpoints::Points;

/// Neither root nor the owner of the run directory.
const THIRD: u32 = 65531;

/// Object server 1 as it is started by hand by one user, with a pid file that is another's. Gives its pid.
fn by_hand(sandbox: &Sandbox, user: u32, file: u32) -> String {
    let become_user = format!("setpriv --reuid={user} --regid={user} --clear-groups");
    let line = format!(
        "rm -f up; mkfifo -m 666 up; mkdir -p run/object-server; rm -f run/object-server/1.pid
         PYTHON_EGG_CACHE=its-own {become_user} swift-object-server /etc/swift/object-server/1.conf \
         >/dev/null 2>&1 &
         printf $! | tee run/object-server/1.pid; : <up
         chown {file} run/object-server/1.pid"
    );
    let place = sandbox.path("");
    let record = format!(
        "tell = {0}/up\ncheck_record = {0}/out/record",
        place.display()
    );
    sandbox.conf("object-server/1.conf", &record);
    must(sandbox, &line)
}

/// Fails when root takes the word of whoever owns the run directory for processes that this user could not
/// signal: of a third user, and of root.
#[test]
fn root_signals_no_process_that_the_owner_could_not() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "rm etc/object-server/2.conf");
    for user in [0, THIRD] {
        let pid = by_hand(&sandbox, user, OWNER);
        let before = servers(&sandbox);
        assert_eq!(before.len(), 1);
        let told = format!(
            "swift-init: object-server (/etc/swift/object-server/1.conf): cannot read pid file \
             /var/run/swift/object-server/1.pid: user {OWNER}, whose file it is, may not signal {pid}\n"
        );
        for command in [
            "status",
            "stop",
            "kill",
            "restart",
            "reload-seamless",
            "start",
        ] {
            let outcome = sh(&sandbox, &format!("swift-init object {command}"));
            assert_eq!(outcome.err(), told, "{command}: {outcome}");
            assert_eq!(outcome.code(), 1, "{command}: {outcome}");
            assert_eq!(servers(&sandbox), before, "{command}");
        }
        must(
            &sandbox,
            &format!("grep -q {pid} run/object-server/1.pid; kill -9 {pid}"),
        );
    }
}

/// Fails when that keeps root from the servers of the field: those that it started and that changed their
/// user, and those that the owner of the run directory started.
#[test]
fn root_stops_what_is_meant() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "rm etc/object-server/2.conf");
    for (user, file) in [
        (OWNER, OWNER),
        (OWNER, 0),
        (0, 0),
        (THIRD, 0),
        (THIRD, THIRD),
    ] {
        by_hand(&sandbox, user, file);
        let outcome = sh(&sandbox, "swift-init object status");
        assert_eq!(outcome.code(), 0, "{user} {file}: {outcome}");
        let outcome = sh(&sandbox, "swift-init object stop");
        assert_eq!(outcome.code(), 0, "{user} {file}: {outcome}");
        assert!(servers(&sandbox).is_empty(), "{user} {file}");
    }
}

/// Fails when a check that root has made as another user gets root's environment, which that user can read
/// in /proc then.
#[test]
fn a_check_as_another_user_gets_the_servers_environment() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "rm etc/object-server/2.conf");
    let pid = by_hand(&sandbox, OWNER, OWNER);
    let outcome = sh(
        &sandbox,
        &format!("PYTHON_EGG_CACHE=of-root swift-reload {pid}"),
    );
    assert_eq!(outcome.code(), 0, "{outcome}");
    let seen = must(&sandbox, "grep -h -e ^args: -e ^PYTHON out/record");
    let check = "args: /etc/swift/object-server/1.conf --test-config\nPYTHON_EGG_CACHE: its-own\n";
    assert!(seen.contains(check) && !seen.contains("of-root"), "{seen}");
}

/// The tool waits for its check to execute, so whoever can stop the check can stop the tool.
///
/// Fails when the check takes its user before its last steps.
#[test]
fn a_check_is_its_users_only_when_it_executes() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "rm etc/object-server/2.conf");
    let pid = by_hand(&sandbox, OWNER, OWNER);
    let points = Points::new(&sandbox);
    let pause = points.pause_at("swift-reload:child-ready");
    let mut command = sandbox.command("swift-reload");
    let command = points.apply(command.arg(pid));
    let reload = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let reload = reload.spawn().expect("swift-reload is there");
    let check = pause.reached();
    let outcome = as_user(&sandbox, &format!("kill -STOP {check}"));
    assert!(outcome.err().contains("not permitted"), "{outcome}");
    drop(pause);
    let outcome = test_helpers::finish(reload);
    assert_eq!(outcome.code(), 0, "{outcome}");
}
