//! Between the tools of a pipeline: each runs to its end, and before the next one the number changes
//! hands.

use super::stage::{ALL, Gap, OTHERS, Stage, Who, pairs, said};
use crate::soak::times;

/// The pipeline of a restart.
const RESTART: [(&str, &[&str]); 4] = [
    ("swift-pidfile", &["--clean"]),
    ("swift-check-config", &[]),
    ("swift-signal", &["stop"]),
    ("swift-spawn", &[]),
];

/// Whoever has the number now is left alone, and the server is started beside.
///
/// Fails when a command line or a config is not compared, and when a pid file that lies is left. The
/// original signals whoever has the number (`original.rs`).
#[test]
fn a_restart_starts_the_server_and_leaves_others_alone() {
    Stage::rounds(
        times(16, 800),
        &pairs(&[0, 1, 2, 3], &OTHERS),
        |stage, &(gap, who)| {
            let round = format!("before {}, {who:?}", RESTART[gap].0);
            // This one ends by its signal, and does not say which came.
            let server = stage.real_server();
            let mut thief = None;
            let mut rows = stage.resolve();
            for (place, (tool, args)) in RESTART.iter().enumerate() {
                if place == gap {
                    thief = Some(stage.swap(&server, who));
                }
                let outcome = stage.run(tool, args, &rows);
                assert_eq!(outcome.code(), 0, "{round}: {tool}: {outcome}");
                if *tool == "swift-signal" {
                    let wanted = if gap == 3 { "stopped -" } else { who.seen() };
                    assert_eq!(said(&outcome), [wanted], "{round}");
                    assert_eq!(stage.pid_file(), None, "{round}");
                }
                rows = outcome.out();
            }
            assert!(rows.ends_with("\tready\t-\n"), "{round}: {rows}");
            let thief = thief.expect("every gap is one of these");
            assert_ne!(stage.end_started(&round), thief.pid, "{round}");
            stage.unharmed(&thief, &round);
        },
    );
}

/// The same server with the same config, started anew by somebody, is not the one that the row is of:
/// it is not stopped, it keeps its pid file, and no second one is started.
///
/// Fails when the start is not compared.
#[test]
fn a_server_started_anew_is_not_the_one_that_was_seen() {
    Stage::rounds(times(6, 500), &[1, 2], |stage, gap| {
        let round = format!("before {}", RESTART[*gap].0);
        let server = stage.server();
        let mut again = None;
        let mut rows = stage.resolve();
        for (place, (tool, args)) in RESTART.iter().enumerate() {
            if place == *gap {
                again = Some(stage.swap(&server, Who::Again));
            }
            let outcome = stage.run(tool, args, &rows);
            assert_eq!(outcome.code(), 0, "{round}: {tool}: {outcome}");
            if *tool == "swift-signal" {
                assert_eq!(said(&outcome), ["stopped stale"], "{round}");
            }
            rows = outcome.out();
        }
        let again = again.expect("every gap is one of these");
        assert!(rows.ends_with("\trunning\t-\n"), "{round}: {rows}");
        stage.told_truth(&again, Who::Again, &round);
        stage.unharmed(&again, &round);
    });
}

/// What was seen to run and is somebody else's by now is signalled by none of these.
///
/// Fails when a command line, a config or a start is not compared.
#[test]
fn no_signal_crosses_a_gap() {
    let signals: [Gap; 5] = [
        ("swift-signal", &["--wait=60", "TERM"]),
        ("swift-signal", &["graceful"]),
        ("swift-signal", &["KILL"]),
        ("swift-signal", &["--kill", "--wait=0", "stop"]),
        ("swift-signal", &["--children", "HUP"]),
    ];
    Stage::rounds(
        times(25, 1000),
        &pairs(&signals, &ALL),
        |stage, &((tool, args), who)| {
            let round = format!("{tool} {args:?}, {who:?}");
            let server = stage.server_with(1);
            let seen = stage.run("swift-pidfile", &["--clean", "--running"], &stage.resolve());
            assert_eq!(said(&seen), ["running -"], "{round}");
            let thief = stage.swap_with(&server, who, 1);
            let outcome = stage.run(tool, args, &seen.out());
            assert_eq!(said(&outcome), [who.seen()], "{round}: {outcome}");
            assert_eq!(outcome.code(), 0, "{round}");
            stage.told_truth(&thief, who, &round);
            stage.unharmed(&thief, &round);
        },
    );
}
