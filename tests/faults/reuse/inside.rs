//! Inside each tool: it stands between a look and what it does, and the number changes hands.

use super::stage::{
    ALL, CONFIG, Going, OTHERS, PID_FILE, Stage, Who, configured, pairs, row, said,
};
use crate::soak::times;

/// What a server goes before, it takes along.
///
/// Fails when a signal is sent to a number instead of through the pidfd, and when the process is
/// looked at before the pidfd is opened.
#[test]
fn no_signal_reaches_who_comes_after() {
    let cases = pairs(&["process-opened", "proven", "signalled"], &ALL);
    Stage::rounds(times(30, 1500), &cases, |stage, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = stage.server();
        let rows = row(&server, "running\t-");
        let point = format!("swift-signal:{point}");
        let paused = stage.up_to(&point, "swift-signal", &["stop"], &rows);
        let thief = stage.swap(&server, who);
        let outcome = paused.finish();
        let wanted = match (point.as_str(), who) {
            // It was signalled, and ended.
            ("swift-signal:signalled", _) => "stopped -",
            ("swift-signal:process-opened", who) => who.seen(),
            _ => "stopped stale",
        };
        assert_eq!(said(&outcome), [wanted], "{round}: {outcome}");
        assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""), "{round}");
        stage.told_truth(&thief, who, &round);
        stage.unharmed(&thief, &round);
    });
}

/// After the server's end, the pid file goes if it lies, and stays if it has come true.
///
/// Fails when the pid file of a server that was stopped is removed without a look at who has the
/// number.
#[test]
fn what_has_ended_leaves_nothing_behind() {
    let cases = pairs(&["ended", "removed"], &ALL);
    Stage::rounds(times(20, 800), &cases, |stage, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = stage.server();
        let signalled = stage.points.pause_at("swift-signal:signalled");
        let late = stage.points.pause_at(&format!("swift-signal:{point}"));
        let tool = stage.tool("swift-signal", &["stop"]);
        let going = Going::start(tool, &row(&server, "running\t-"));
        signalled.reached();
        stage.thief.free(server.pid);
        drop(signalled);
        late.reached();
        let thief = stage.take(&server, who);
        drop(late);
        let outcome = going.finish();
        assert_eq!(said(&outcome), ["stopped -"], "{round}: {outcome}");
        match point {
            "ended" => stage.told_truth(&thief, who, &round),
            _ => assert_eq!(stage.pid_file(), None, "{round}"),
        }
        stage.unharmed(&thief, &round);
    });
}

/// swift-pidfile says whose the number is now, and removes what lies.
///
/// Fails when what was found without the lock is not looked at again under it (for `Again`, whose pid
/// file would be gone), when the command line is not compared, and when a file that lies is left.
#[test]
fn a_look_that_was_overtaken_is_not_believed() {
    let cases = pairs(
        &["pid-file-read", "process-opened", "process-looked-at"],
        &ALL,
    );
    Stage::rounds(times(30, 1500), &cases, |stage, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = stage.server();
        let point = format!("swift-pidfile:{point}");
        let paused = stage.up_to(&point, "swift-pidfile", &["--clean"], &configured());
        let thief = stage.swap(&server, who);
        let outcome = paused.finish();
        let wanted = match who {
            Who::Again => row(&thief, "running\t-"),
            _ => row(&thief, "stopped\twrong-process"),
        };
        assert_eq!((outcome.out(), outcome.code()), (wanted, 0), "{round}");
        stage.told_truth(&thief, who, &round);
        stage.unharmed(&thief, &round);
    });
}

/// A pid file that lied and has come true is kept, and one that lies in another way goes.
///
/// Fails when the lie is not looked at again under the lock.
#[test]
fn a_lie_that_has_come_true_is_none() {
    let cases = pairs(&OTHERS, &ALL);
    Stage::rounds(times(20, 800), &cases, |stage, &(before, who)| {
        let round = format!("{before:?}, then {who:?}");
        let server = stage.server();
        let before = stage.swap(&server, before);
        let point = "swift-pidfile:lie-found";
        let paused = stage.up_to(point, "swift-pidfile", &["--clean"], &configured());
        let thief = stage.swap(&before, who);
        let outcome = paused.finish();
        let wanted = match who {
            Who::Again => row(&thief, "running\t-"),
            _ => row(&thief, "stopped\twrong-process"),
        };
        assert_eq!((outcome.out(), outcome.code()), (wanted, 0), "{round}");
        stage.told_truth(&thief, who, &round);
        stage.unharmed(&thief, &round);
    });
}

/// The same program with another config, of which no other pid file knows: this one may be its own, and
/// the row's config the wrong one.
///
/// Fails when the pid file is removed or replaced, and when the process gets a signal.
#[test]
fn a_server_that_only_this_pid_file_knows_is_not_lost() {
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
    Stage::rounds(times(10, 100), &tools, |stage, &(tool, args, state)| {
        let round = format!("{tool} {args:?} {state}");
        let server = stage.server_with(1);
        let thief = stage.swap_with(&server, Who::Untracked, 1);
        // A start that does not tell them apart.
        let rows = row(&thief, state);
        let outcome = stage.run(tool, args, &rows);
        let wanted = ["wrong-config config /etc/swift/object-server/2.conf"];
        assert_eq!(said(&outcome), wanted, "{round}: {outcome}");
        let told = format!("{PID_FILE} (object-server): {} runs with", thief.pid);
        assert!(outcome.err().contains(&told), "{round}: {outcome}");
        assert!(outcome.err().ends_with(&format!("2.conf, not {CONFIG}\n")));
        assert_eq!(outcome.code(), 1, "{round}");
        assert_eq!(stage.pid_file(), Some(thief.pid.to_string()), "{round}");
        stage.unharmed(&thief, &round);
    });
}

/// With more servers than descriptors some are let go of once they are signalled, and proven anew when
/// there is room. Who has the number by then is neither awaited nor killed.
///
/// Fails when it is opened again without a proof.
#[test]
fn who_was_let_go_of_is_proven_again() {
    Stage::rounds(times(5, 300), &ALL, |stage, &who| {
        let first = stage.thief.start(0, Who::Other.line());
        stage
            .sandbox
            .pid_file("object-server/2.pid", first.pid.to_string());
        let server = stage.server();
        let overdue = stage.points.pause_at("swift-signal:overdue");
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
        let going = Going::start(stage.tool("prlimit", &limited), &[other, rows].concat());
        overdue.reached();
        let thief = stage.swap(&server, who);
        drop(overdue);
        let outcome = going.finish();
        // In whichever order they were done with.
        let mut told = said(&outcome);
        told.sort();
        assert_eq!(told, ["killed -", "stopped -"], "{who:?}: {outcome}");
        stage.told_truth(&thief, who, &format!("{who:?}"));
        stage.unharmed(&thief, &format!("{who:?}"));
        stage.thief.free(first.pid);
    });
}
