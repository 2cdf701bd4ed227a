//! swift-spawn: an old pid file whose number comes to life, and a start that fails.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::fixture::{ALL, CONFIG, Fixture, Going, OTHERS, Successor, pairs, row, said};
use crate::soak::times;

/// The number in an old pid file comes to life while a server is started in its place. Successor has it is
/// left alone; only when it is this very server, seen in time, is no second one started.
///
/// Fails when the pid file is not looked at again before the start (for `Again`).
#[test]
fn a_start_replaces_a_stale_pid_file_only() {
    let before = pairs(&["found", "locked"], &ALL);
    let after = pairs(&["looked", "directory-made"], &OTHERS);
    let cases = [before, after].concat();
    Fixture::rounds(times(18, 700), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server();
        fixture.reuser.free(server.pid);
        let point = format!("swift-spawn:{point}");
        let rows = row(&server, "stopped\tstale");
        let paused = fixture.up_to(&point, "swift-spawn", &[], &rows);
        let successor = fixture.take(&server, who);
        let outcome = paused.finish();
        assert_eq!(outcome.code(), 0, "{round}: {outcome}");
        if who == Successor::Again {
            assert_eq!(outcome.out(), row(&successor, "running\t-"), "{round}");
            fixture.told_truth(&successor, who, &round);
        } else {
            assert_eq!(said(&outcome), ["started -", "ready -"], "{round}");
            assert_ne!(fixture.end_started(&round), successor.pid, "{round}");
        }
        fixture.unharmed(&successor, &round);
    });
}

/// A server that is not ready in time is ended and waited for, so its number is free before its pid
/// file is removed.
///
/// Fails when the pid file is removed without a look (for `Again`), and when it is left (for others).
#[test]
fn a_start_timeout_signals_no_other_process() {
    let Some(mut fixture) = Fixture::with("never_close = true") else {
        return;
    };
    fixture.play(times(5, 300), &ALL, |fixture, &who| {
        let round = format!("{who:?}");
        let nobody = fixture.server();
        fixture.reuser.free(nobody.pid);
        let pause = fixture.points.pause_at("swift-spawn:ended");
        let tool = fixture.tool("swift-spawn", &["--start-timeout=0.01", "-q"]);
        let going = Going::start(tool, &row(&nobody, "stopped\tstale"));
        pause.reached();
        let pid = fixture.pid_file().expect("it was started");
        let pid = pid.parse().expect("a pid");
        let successor = fixture.take_now(pid, 0, who);
        drop(pause);
        let outcome = going.finish();
        assert_eq!(said(&outcome), ["started -", "failed timeout"], "{round}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// A program that cannot be executed was a process for a moment, whose number stands in the pid file.
///
/// Fails when the pid file is left, and when it is removed without a look.
#[test]
fn a_failed_start_signals_no_other_process() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let program = fixture.sandbox.path("bin/swift-object-updater");
    fs::write(&program, "\0").expect("the sandbox can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let pid_file = fixture.sandbox.run_dir().join("object-updater/1.pid");
    fixture.play(times(5, 300), &ALL, |fixture, &who| {
        let path = "/run/swift/object-updater/1.pid";
        let rows = format!("object-updater\t{CONFIG}\t{path}\t-\t-\tstopped\tabsent\n");
        let paused = fixture.up_to("swift-spawn:not-executed", "swift-spawn", &["-q"], &rows);
        let pid = fs::read_to_string(&pid_file).expect("it had a number");
        let line = match who {
            Successor::Again => &["swift-object-updater", CONFIG],
            _ => who.line(),
        };
        let number = pid.parse().expect("a pid");
        let successor = fixture.reuser.take(number, 0, line);
        let outcome = paused.finish();
        let path = program.display();
        let wanted = [format!("failed exec-failed {path}: Exec format error")];
        assert_eq!(said(&outcome), wanted, "{who:?}");
        let left = (who == Successor::Again).then_some(pid);
        assert_eq!(fs::read_to_string(&pid_file).ok(), left, "{who:?}");
        fixture.unharmed(&successor, &format!("{who:?}"));
    });
}
