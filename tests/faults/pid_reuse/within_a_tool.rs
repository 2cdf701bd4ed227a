//! Inside each tool: it stands between a look and what it does, and the number changes hands.

use super::fixture::{
    ALL, CONFIG, Fixture, Going, OTHERS, PID_FILE, Successor, configured, pairs, row, said,
};
use crate::soak::times;

/// What a server goes before, it takes along.
///
/// Fails when a signal is sent to a number instead of through the pidfd, and when the process is
/// looked at before the pidfd is opened.
#[test]
fn pid_reuse_within_a_tool_gets_no_signal() {
    let cases = pairs(&["process-opened", "proven", "signalled"], &ALL);
    Fixture::rounds(times(30, 1500), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server();
        let rows = row(&server, "running\t-");
        let point = format!("swift-signal:{point}");
        let paused = fixture.up_to(&point, "swift-signal", &["stop"], &rows);
        let successor = fixture.swap(&server, who);
        let outcome = paused.finish();
        let wanted = match (point.as_str(), who) {
            // It was signalled, and ended.
            ("swift-signal:signalled", _) => "stopped -",
            ("swift-signal:process-opened", who) => who.seen(),
            _ => "stopped stale",
        };
        assert_eq!(said(&outcome), [wanted], "{round}: {outcome}");
        assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""), "{round}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// After the server's end, the pid file goes if it lies, and stays if it has come true.
///
/// Fails when the pid file of a server that was stopped is removed without a look at who has the
/// number.
#[test]
fn what_has_ended_leaves_nothing_behind() {
    let cases = pairs(&["ended", "removed"], &ALL);
    Fixture::rounds(times(20, 800), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server();
        let signalled = fixture.points.pause_at("swift-signal:signalled");
        let late = fixture.points.pause_at(&format!("swift-signal:{point}"));
        let tool = fixture.tool("swift-signal", &["stop"]);
        let going = Going::start(tool, &row(&server, "running\t-"));
        signalled.reached();
        fixture.reuser.free(server.pid);
        drop(signalled);
        late.reached();
        let successor = fixture.take(&server, who);
        drop(late);
        let outcome = going.finish();
        assert_eq!(said(&outcome), ["stopped -"], "{round}: {outcome}");
        match point {
            "ended" => fixture.told_truth(&successor, who, &round),
            _ => assert_eq!(fixture.pid_file(), None, "{round}"),
        }
        fixture.unharmed(&successor, &round);
    });
}

/// swift-pidfile says whose the number is now, and removes what lies.
///
/// Fails when what was found without the lock is not looked at again under it (for `Again`, whose pid
/// file would be gone), when the command line is not compared, and when a file that lies is left.
#[test]
fn an_outdated_inspection_is_not_used() {
    let cases = pairs(
        &["pid-file-read", "process-opened", "process-classified"],
        &ALL,
    );
    Fixture::rounds(times(30, 1500), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server();
        let point = format!("swift-pidfile:{point}");
        let paused = fixture.up_to(&point, "swift-pidfile", &["--clean"], &configured());
        let successor = fixture.swap(&server, who);
        let outcome = paused.finish();
        let wanted = match who {
            Successor::Again => row(&successor, "running\t-"),
            _ => row(&successor, "stopped\twrong-process"),
        };
        assert_eq!((outcome.out(), outcome.code()), (wanted, 0), "{round}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// A pid file that lied and has come true is kept, and one that lies in another way goes.
///
/// Fails when the lie is not looked at again under the lock.
#[test]
fn a_pid_file_that_has_come_true_is_not_removed() {
    let cases = pairs(&OTHERS, &ALL);
    Fixture::rounds(times(20, 800), &cases, |fixture, &(before, who)| {
        let round = format!("{before:?}, then {who:?}");
        let server = fixture.server();
        let before = fixture.swap(&server, before);
        let point = "swift-pidfile:stale-found";
        let paused = fixture.up_to(point, "swift-pidfile", &["--clean"], &configured());
        let successor = fixture.swap(&before, who);
        let outcome = paused.finish();
        let wanted = match who {
            Successor::Again => row(&successor, "running\t-"),
            _ => row(&successor, "stopped\twrong-process"),
        };
        assert_eq!((outcome.out(), outcome.code()), (wanted, 0), "{round}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// The same program with another config, of which no other pid file knows: this one may be its own, and
/// the row's config the wrong one.
///
/// Fails when the pid file is removed or replaced, and when the process gets a signal.
#[test]
fn the_only_pid_file_of_a_server_is_not_removed() {
    let tools = [
        ("swift-pidfile", &["--clean"][..], "configured\t-"),
        ("swift-pidfile", &["--clean"], "orphan\t-"),
        (
            "swift-signal",
            &["--kill", "--wait=0", "stop"],
            "running\t-",
        ),
        ("swift-signal", &["--children", "KILL"], "running\t-"),
        ("swift-spawn", &[], "stopped\tstale"),
        ("swift-reload", &[], "running\t-"),
    ];
    Fixture::rounds(times(10, 100), &tools, |fixture, &(tool, args, state)| {
        let round = format!("{tool} {args:?} {state}");
        let server = fixture.server_with(1);
        let successor = fixture.swap_with(&server, Successor::Untracked, 1);
        // A start that does not tell them apart.
        let rows = row(&successor, state);
        let outcome = fixture.run(tool, args, &rows);
        let wanted = ["wrong-config config /etc/swift/object-server/2.conf"];
        assert_eq!(said(&outcome), wanted, "{round}: {outcome}");
        let told = format!("{PID_FILE} (object-server): {} runs with", successor.pid);
        assert!(outcome.err().contains(&told), "{round}: {outcome}");
        assert!(outcome.err().ends_with(&format!("2.conf, not {CONFIG}\n")));
        assert_eq!(outcome.code(), 1, "{round}");
        assert_eq!(
            fixture.pid_file(),
            Some(successor.pid.to_string()),
            "{round}"
        );
        fixture.unharmed(&successor, &round);
    });
}

/// With more servers than descriptors some are let go of once they are signalled, and proven anew when
/// there is room. Successor has the number by then is neither awaited nor killed.
///
/// Fails when it is opened again without a proof.
#[test]
fn a_released_process_is_proven_again() {
    Fixture::rounds(times(5, 300), &ALL, |fixture, &who| {
        let first = fixture.reuser.start(0, Successor::Other.line());
        fixture
            .sandbox
            .pid_file("object-server/2.pid", first.pid.to_string());
        let server = fixture.server();
        let overdue = fixture.points.pause_at("swift-signal:overdue");
        let rows = row(&server, "running\t-");
        let other = row(&first, "running\t-")
            .replace("1.conf", "2.conf")
            .replace("1.pid", "2.pid");
        // 32 descriptors are kept free for all else, so this leaves one to wait with.
        let limited = [
            "--nofile=33:33",
            "swift-signal",
            "--kill",
            "--wait=0",
            "stop",
        ];
        let going = Going::start(fixture.tool("prlimit", &limited), &[other, rows].concat());
        overdue.reached();
        let successor = fixture.swap(&server, who);
        drop(overdue);
        let outcome = going.finish();
        // In whichever order they were done with.
        let mut told = said(&outcome);
        told.sort();
        assert_eq!(told, ["killed -", "stopped -"], "{who:?}: {outcome}");
        fixture.told_truth(&successor, who, &format!("{who:?}"));
        fixture.unharmed(&successor, &format!("{who:?}"));
        fixture.reuser.free(first.pid);
    });
}
