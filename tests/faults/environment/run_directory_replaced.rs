//! A run directory that goes, or becomes another one, while a tool is at work; and what is put in its
//! place.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use test_helpers::{Sandbox, finish, run};

use crate::assertions::{assert_tracked, listing, must, swift_init, tracked, with_servers};
use crate::failpoints::Points;

/// Starts a command of swift-init whose outputs are kept.
fn begin(sandbox: &Sandbox, points: &Points, words: &str) -> Child {
    let mut command = swift_init(sandbox, words);
    let command = points.apply(&mut command).stdout(Stdio::piped());
    command
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started")
}

/// Fails when a start goes on in a directory that nobody finds: its lock is no other command's lock, and
/// the server is untracked.
#[test]
fn no_server_is_started_in_a_removed_run_directory() {
    const LOCK: &str = "failed to start: cannot lock the run directory: cannot lock \
                        /var/run/swift/.swift-init.lock: ";
    const WRITE: &str =
        "not started, since its pid file /var/run/swift/object-server/1.pid cannot be written: ";
    let unmounted = "umount -l /run/swift";
    let gone = "No such file or directory";
    let other = "another directory is in its place";
    for (point, line, what, why) in [
        (
            "found",
            "rm -r /run/swift/* ; umount -l /run/swift; rmdir /run/swift",
            LOCK,
            gone,
        ),
        ("found", unmounted, LOCK, other),
        (
            "found",
            "mv /run/swift/a /run/swift/b; umount -l /run/swift; mount -t tmpfs no /run/swift",
            LOCK,
            other,
        ),
        (
            "directory-made",
            "rm -r /run/swift/object-server",
            WRITE,
            gone,
        ),
        ("child-begun", "rm -r /run/swift/object-server", WRITE, gone),
        (
            "child-numbered",
            "rm -r /run/swift/object-server",
            WRITE,
            gone,
        ),
    ] {
        let sandbox = with_servers(&["1"]);
        must(&sandbox, "mkdir run/a; mkdir -p run/object-server");
        let points = Points::new(&sandbox);
        let pause = points.pause_at(&format!("swift-spawn:{point}"));
        let child = begin(&sandbox, &points, "object start");
        pause.reached();
        must(&sandbox, line);
        drop(pause);
        let outcome = finish(child);
        let told =
            format!("swift-init: object-server (/etc/swift/object-server/1.conf): {what}{why}\n");
        assert_eq!(
            (outcome.code(), outcome.err()),
            (1, told),
            "{point}, {line}"
        );
        assert_tracked(&sandbox, 0, line);
    }
}

/// Fails when the folder is looked up again by a path that follows links: the file of that name outside
/// is removed then, as the original does.
#[test]
fn a_directory_that_becomes_a_link_is_not_followed() {
    for (point, running) in [
        ("swift-pidfile:stale-found", false),
        ("swift-pidfile:pid-file-compared", false),
        ("swift-signal:ended", true),
        ("swift-signal:pid-file-judged", true),
        ("swift-spawn:looked", false),
    ] {
        let sandbox = with_servers(&["1"]);
        let outside = sandbox.path("outside");
        let folder = sandbox.run_dir().join("object-server");
        fs::create_dir(&outside).expect("the sandbox can be written");
        fs::write(outside.join("1.pid"), "4194304").expect("the sandbox can be written");
        sandbox.pid_file("object-server/1.pid", "4194304");
        if running {
            must(&sandbox, "swift-init object start");
        }
        let before = listing(&outside);
        let points = Points::new(&sandbox);
        let pause = points.pause_at(point);
        let child = begin(
            &sandbox,
            &points,
            if running {
                "object stop"
            } else {
                "object start"
            },
        );
        pause.reached();
        fs::rename(&folder, sandbox.path("moved")).expect("the sandbox can be written");
        symlink(&outside, &folder).expect("a link can be made");
        drop(pause);
        let outcome = finish(child);
        let err = outcome.err();
        assert_eq!(
            outcome.code(),
            // What was judged is removed where it was, wherever its folder is by now.
            i32::from(!point.starts_with("swift-signal:")),
            "{point}: {outcome}"
        );
        assert!(
            err.is_empty() == (outcome.code() == 0),
            "{point}: {outcome}"
        );
        assert_eq!(listing(&outside), before, "{point}");
        assert_tracked(&sandbox, 0, point);
    }
}

/// Fails when a pid file is removed for what it said before: this one names the server that was started
/// since.
#[test]
fn a_changed_pid_file_is_not_removed() {
    let sandbox = with_servers(&["1"]);
    must(&sandbox, "swift-init object start");
    let old = tracked(&sandbox.run_dir());
    let points = Points::new(&sandbox);
    let ended = points.pause_at("swift-signal:ended");
    let child = begin(&sandbox, &points, "object stop");
    ended.reached();
    let outcome = run(&mut swift_init(&sandbox, "object start"));
    assert_eq!(outcome.code(), 0, "{outcome}");
    drop(ended);
    assert_eq!(finish(child).code(), 0);
    assert_tracked(&sandbox, 1, "started meanwhile");
    assert!(tracked(&sandbox.run_dir()).is_disjoint(&old));
}
