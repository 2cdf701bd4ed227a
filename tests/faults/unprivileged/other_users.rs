//! Servers of another user: said once, never signalled, never started a second time.

use std::collections::BTreeSet;

use test_helpers::{Outcome, Sandbox};

use super::{OWNER, as_user, fixture, init_as_user};
use crate::assertions::{assert_tracked, listing, must, servers, sh};

/// Fails when another user's server counts as stopped, or when a signal that was not permitted counts as
/// sent. The original says so too, and exits 0 after `kill`.
#[test]
fn servers_of_another_user_are_left_alone() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "swift-init object start");
    let before = (servers(&sandbox), listing(&sandbox.run_dir()));
    let outcome = init_as_user(&sandbox, "status");
    assert_eq!(
        (outcome.code(), outcome.err().as_str()),
        (0, ""),
        "{outcome}"
    );
    assert_eq!(outcome.out().matches("object-server running (").count(), 2);
    commands_are_refused(&sandbox, &before);
    tools_are_refused(&sandbox, &before);
    let pid = before.0.iter().next().expect("two servers run");
    let outcome = as_user(&sandbox, &format!("swift-reload {}", pid));
    let told = format!(
        "swift-reload: cannot signal {} (object-server): Operation not permitted\n",
        pid
    );
    assert_eq!((outcome.code(), outcome.err()), (1, told), "{outcome}");
    assert_eq!((servers(&sandbox), listing(&sandbox.run_dir())), before);
}

/// The pids of the servers, and the files of the run directory.
type Before = (BTreeSet<String>, Vec<String>);

/// The state and detail of each row.
fn states(outcome: &Outcome) -> Vec<String> {
    let rows = outcome.rows();
    rows.iter().map(|row| row[5..].join(" ")).collect()
}

fn commands_are_refused(sandbox: &Sandbox, before: &Before) {
    for command in [
        "start",
        "stop",
        "restart",
        "reload",
        "reload-seamless",
        "shutdown",
        "kill",
    ] {
        let outcome = init_as_user(sandbox, command);
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (1, ""),
            "{command}: {outcome}"
        );
        for pid in &before.0 {
            let told = format!("No permission to signal PID {pid}\n");
            assert_eq!(
                outcome.out().matches(&told).count(),
                1,
                "{command}: {outcome}"
            );
        }
        assert_eq!(
            (servers(sandbox), listing(&sandbox.run_dir())),
            *before,
            "{command}"
        );
    }
}

fn tools_are_refused(sandbox: &Sandbox, before: &Before) {
    let rows = "swift-resolve-servers object | swift-pidfile --clean >out/rows; cat out/rows";
    let denied = as_user(sandbox, rows);
    assert_eq!(states(&denied), ["denied permission"; 2], "{denied}");
    for (edit, line, code, wanted) in [
        ("", "swift-signal stop", 0, "denied permission"),
        ("", "swift-spawn --keep-limits", 0, "denied permission"),
        (
            "s/denied.*/running\\t-/",
            "swift-signal stop",
            1,
            "denied permission",
        ),
        (
            "s/denied.*/running\\t-/",
            "swift-signal --children HUP",
            0,
            "signalled children 0",
        ),
        (
            "s/denied.*/running\\t-/",
            "swift-reload",
            1,
            "denied permission",
        ),
        (
            "s/denied.*/stopped\\t-/",
            "swift-spawn --keep-limits",
            0,
            "denied permission",
        ),
    ] {
        let outcome = as_user(sandbox, &format!("sed '{edit}' out/rows | {line}"));
        assert_eq!(states(&outcome), [wanted; 2], "{edit} {line}: {outcome}");
        assert_eq!(outcome.code(), code, "{edit} {line}: {outcome}");
        let tool = line.split(' ').next().unwrap_or_default();
        for pid in &before.0 {
            let told =
                format!("{tool}: cannot signal {pid} (object-server): Operation not permitted\n");
            assert_eq!(
                outcome.err().matches(&told).count(),
                usize::from(code == 1),
                "{line}: {outcome}"
            );
        }
        assert_eq!(
            (servers(sandbox), listing(&sandbox.run_dir())),
            *before,
            "{line}"
        );
    }
}

/// Fails when a process whose folder is not for this user to see counts as a stranger: its pid file is
/// removed then, and a second server started.
#[test]
fn a_process_that_cannot_be_inspected_is_no_mismatch() {
    let Some(sandbox) = fixture() else { return };
    must(
        &sandbox,
        "mkfifo up; echo 'tell = up' >>etc/object-server/1.conf",
    );
    let line = "cp etc/object-server/1.conf etc/object-server/relative.conf; \
                swift-object-server etc/object-server/1.conf & \
                : <up; mkdir run/object-server; printf $! >run/object-server/1.pid; \
                rm etc/object-server/relative.conf";
    must(
        &sandbox,
        &format!("{line}; chown {OWNER} run run/object-server"),
    );
    let before = (
        servers(&sandbox),
        listing(&sandbox.run_dir().join("object-server")),
    );
    assert_eq!(before.0.len(), 1);
    let told = "swift-init: object-server (/etc/swift/object-server/1.conf): cannot read pid file \
                /var/run/swift/object-server/1.pid: its process: Permission denied\n";
    for command in ["status", "start", "restart", "stop", "kill"] {
        let outcome = as_user(&sandbox, &format!("swift-init object.1 {command}"));
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (1, told),
            "{command}: {outcome}"
        );
        let now = (
            servers(&sandbox),
            listing(&sandbox.run_dir().join("object-server")),
        );
        assert_eq!(now, before, "{command}");
    }
    // Root sees that it is the one.
    let outcome = sh(&sandbox, "swift-init object.1 status");
    assert_eq!(outcome.code(), 0, "{outcome}");
}

/// Fails when a server that /proc hides counts as gone.
#[test]
fn where_proc_hides_others_nothing_is_started_in_their_place() {
    let Some(sandbox) = fixture() else { return };
    must(
        &sandbox,
        "swift-init object start; mount -o remount,hidepid=2 /proc",
    );
    let before = (servers(&sandbox), listing(&sandbox.run_dir()));
    let told: String = ["1", "2"]
        .map(|name| {
            format!(
                "swift-init: object-server (/etc/swift/object-server/{name}.conf): cannot read pid file \
                 /var/run/swift/object-server/{name}.pid: its process: it lives, and /proc does not show it\n"
            )
        })
        .concat();
    for command in [
        "status",
        "start",
        "stop",
        "restart",
        "reload",
        "reload-seamless",
        "kill",
    ] {
        let outcome = init_as_user(&sandbox, command);
        assert_eq!(
            (outcome.code(), outcome.err()),
            (1, told.clone()),
            "{command}: {outcome}"
        );
        assert_eq!(
            (servers(&sandbox), listing(&sandbox.run_dir())),
            before,
            "{command}"
        );
    }
}

/// The same user in a namespace of users, where it is root and nobody else is anybody. Fails when root
/// there counts as root everywhere.
#[test]
fn in_a_namespace_of_users_it_is_the_same() {
    let Some(sandbox) = fixture() else { return };
    let inside = |words: &str| {
        as_user(
            &sandbox,
            &format!("unshare --user --map-root-user swift-init object {words}"),
        )
    };
    for (command, up) in [
        ("start", 2),
        ("status", 2),
        ("restart", 2),
        ("reload-seamless", 2),
        ("stop", 0),
    ] {
        let outcome = inside(command);
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (0, ""),
            "{command}: {outcome}"
        );
        assert_tracked(&sandbox, up, command);
    }
    must(&sandbox, "swift-init object start");
    let before = servers(&sandbox);
    assert_eq!(inside("status").code(), 0);
    for command in ["start", "stop", "restart", "kill"] {
        let outcome = inside(command);
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (1, ""),
            "{command}: {outcome}"
        );
        let told = outcome.out().matches("No permission to signal PID").count();
        assert_eq!(told, 2, "{command}: {outcome}");
        assert_eq!(servers(&sandbox), before, "{command}");
    }
}
