//! swift-init as a whole, with the number changing hands at its own steps and inside its tools.

use super::stage::{ALL, Stage, Who, pairs};
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
fn nobody_else_is_stopped() {
    // What is to end is the server with that config, whichever run of it: who is just that before
    // swift-signal opens it is stopped, and rightly so.
    let is_early = |play: &Play| !play.point.starts_with("swift-signal:");
    let cases: Vec<(Play, Who)> = pairs(&ENDS, &ALL)
        .into_iter()
        .filter(|(play, who)| !(is_early(play) && *who == Who::Again))
        .collect();
    Stage::rounds(times(53, 1000), &cases, |stage, &(play, who)| {
        let round = format!("{play:?}, {who:?}");
        let server = stage.server();
        let args = [&["--run-dir=/run/swift"], play.args].concat();
        let paused = stage.up_to(play.point, "swift-init", &args, "");
        let thief = stage.swap(&server, who);
        let outcome = paused.finish();
        assert_eq!(outcome.code(), play.exit, "{round}: {outcome}");
        assert_eq!(outcome.err(), "", "{round}");
        stage.told_truth(&thief, who, &round);
        stage.unharmed(&thief, &round);
    });
}

/// Fails when a signal is sent to a number, and when a command line, a config or a start is not
/// compared.
#[test]
fn nobody_else_is_restarted() {
    let points = [
        "swift-init:observed",
        "swift-check-config:checked",
        "swift-signal:proven",
        "swift-signal:signalled",
    ];
    Stage::rounds(
        times(20, 400),
        &pairs(&points, &ALL),
        |stage, &(point, who)| {
            let round = format!("{point}, {who:?}");
            let server = stage.server();
            let args = [&["--run-dir=/run/swift"], RESTART].concat();
            let paused = stage.up_to(point, "swift-init", &args, "");
            let thief = stage.swap(&server, who);
            let outcome = paused.finish();
            if who == Who::Again {
                // It runs, and no second one was started.
                stage.told_truth(&thief, who, &round);
            } else {
                assert_eq!(outcome.code(), 0, "{round}: {outcome}");
                assert_ne!(stage.end_started(&round), thief.pid, "{round}");
            }
            stage.unharmed(&thief, &round);
        },
    );
}

/// Fails as the others do.
#[test]
fn nobody_else_is_reloaded() {
    let points = [
        "swift-init:observed",
        "swift-reload:process-opened",
        "swift-reload:proven",
    ];
    Stage::rounds(
        times(15, 300),
        &pairs(&points, &ALL),
        |stage, &(point, who)| {
            let round = format!("{point}, {who:?}");
            let server = stage.server();
            let args = [&["--run-dir=/run/swift"], RELOAD].concat();
            let paused = stage.up_to(point, "swift-init", &args, "");
            let thief = stage.swap(&server, who);
            let outcome = paused.finish();
            assert_eq!(outcome.code(), 1, "{round}: {outcome}");
            stage.cleaned(&thief, who, &round);
            stage.unharmed(&thief, &round);
        },
    );
}
