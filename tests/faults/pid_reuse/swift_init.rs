//! swift-init as a whole, with the number changing hands at its own steps and inside its tools.

use super::fixture::{ALL, Fixture, Successor, pairs};
use crate::soak::times;

/// What is asked for, and what became of it when the server went at that point.
#[derive(Debug, Clone, Copy)]
struct Play {
    args: &'static [&'static str],
    point: &'static str,
    exit: i32,
}

const fn play(args: &'static [&'static str], point: &'static str, exit: i32) -> Play {
    Play { args, point, exit }
}

const STOP: &[&str] = &["object.1", "stop"];
const KILL: &[&str] = &["object.1", "kill", "--kill-wait=0", "--kill-after-timeout"];
const RELOAD: &[&str] = &["object.1", "reload-seamless"];
const RESTART: &[&str] = &["object.1", "restart"];

/// When nothing was left to be stopped, that is a failure, but for `kill`, as with the original. At none
/// of these points does swift-init start a tool beside, which could take the number itself.
const ENDS: [Play; 11] = [
    play(STOP, "swift-init:begun", 1),
    play(STOP, "swift-pidfile:process-opened", 1),
    play(STOP, "swift-pidfile:examined", 1),
    play(STOP, "swift-init:observed", 1),
    play(STOP, "swift-init:tool-started", 1),
    play(STOP, "swift-signal:process-opened", 1),
    play(STOP, "swift-signal:proven", 1),
    play(STOP, "swift-signal:signalled", 0),
    play(KILL, "swift-init:observed", 0),
    play(KILL, "swift-signal:overdue", 0),
    play(KILL, "swift-signal:leads", 0),
];

/// Fails when a signal is sent to a number, when a command line or a config is not compared, and when a
/// pid file that lies is left. The original fails in all of them (`original.rs`).
#[test]
fn stop_signals_no_other_process() {
    // What is to end is the server with that config, whichever run of it: who is just that before
    // swift-signal opens it is stopped, and rightly so.
    let is_early = |play: &Play| !play.point.starts_with("swift-signal:");
    let cases: Vec<(Play, Successor)> = pairs(&ENDS, &ALL)
        .into_iter()
        .filter(|(play, who)| !(is_early(play) && *who == Successor::Again))
        .collect();
    Fixture::rounds(times(53, 1000), &cases, |fixture, &(play, who)| {
        let round = format!("{play:?}, {who:?}");
        let server = fixture.server();
        let args = [&["--run-dir=/run/swift"], play.args].concat();
        let paused = fixture.up_to(play.point, "swift-init", &args, "");
        let successor = fixture.swap(&server, who);
        let outcome = paused.finish();
        assert_eq!(outcome.code(), play.exit, "{round}: {outcome}");
        assert_eq!(outcome.err(), "", "{round}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// Fails when a signal is sent to a number, and when a command line, a config or a start is not
/// compared.
#[test]
fn restart_signals_no_other_process() {
    let points = [
        "swift-init:observed",
        "swift-check-config:checked",
        "swift-signal:proven",
        "swift-signal:signalled",
    ];
    Fixture::rounds(
        times(20, 400),
        &pairs(&points, &ALL),
        |fixture, &(point, who)| {
            let round = format!("{point}, {who:?}");
            let server = fixture.server();
            let args = [&["--run-dir=/run/swift"], RESTART].concat();
            let paused = fixture.up_to(point, "swift-init", &args, "");
            let successor = fixture.swap(&server, who);
            let outcome = paused.finish();
            if who == Successor::Again {
                // It runs, and no second one was started.
                fixture.told_truth(&successor, who, &round);
            } else {
                assert_eq!(outcome.code(), 0, "{round}: {outcome}");
                assert_ne!(fixture.end_started(&round), successor.pid, "{round}");
            }
            fixture.unharmed(&successor, &round);
        },
    );
}

/// Fails as the others do.
#[test]
fn reload_signals_no_other_process() {
    let points = [
        "swift-init:observed",
        "swift-reload:process-opened",
        "swift-reload:proven",
    ];
    Fixture::rounds(
        times(15, 300),
        &pairs(&points, &ALL),
        |fixture, &(point, who)| {
            let round = format!("{point}, {who:?}");
            let server = fixture.server();
            let args = [&["--run-dir=/run/swift"], RELOAD].concat();
            let paused = fixture.up_to(point, "swift-init", &args, "");
            let successor = fixture.swap(&server, who);
            let outcome = paused.finish();
            assert_eq!(outcome.code(), 1, "{round}: {outcome}");
            fixture.cleaned(&successor, who, &round);
            fixture.unharmed(&successor, &round);
        },
    );
}
