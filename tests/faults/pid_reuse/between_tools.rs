//! Between the tools of a pipeline: each runs to its end, and before the next one the number changes
//! hands.

use super::fixture::{ALL, Fixture, Gap, OTHERS, Successor, pairs, said};
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
    Fixture::rounds(
        times(16, 800),
        &pairs(&[0, 1, 2, 3], &OTHERS),
        |fixture, &(gap, who)| {
            let round = format!("before {}, {who:?}", RESTART[gap].0);
            // This one ends by its signal, and does not say which came.
            let server = fixture.real_server();
            let mut successor = None;
            let mut rows = fixture.resolve();
            for (place, (tool, args)) in RESTART.iter().enumerate() {
                if place == gap {
                    successor = Some(fixture.swap(&server, who));
                }
                let outcome = fixture.run(tool, args, &rows);
                assert_eq!(outcome.code(), 0, "{round}: {tool}: {outcome}");
                if *tool == "swift-signal" {
                    let wanted = if gap == 3 { "stopped -" } else { who.seen() };
                    assert_eq!(said(&outcome), [wanted], "{round}");
                    assert_eq!(fixture.pid_file(), None, "{round}");
                }
                rows = outcome.out();
            }
            assert!(rows.ends_with("\tready\t-\n"), "{round}: {rows}");
            let successor = successor.expect("every gap is one of these");
            assert_ne!(fixture.end_started(&round), successor.pid, "{round}");
            fixture.unharmed(&successor, &round);
        },
    );
}

/// The same server with the same config, started anew by somebody, is not the one that the row is of:
/// it is not stopped, it keeps its pid file, and no second one is started.
///
/// Fails when the start is not compared.
#[test]
fn a_restarted_server_is_not_that_of_the_row() {
    Fixture::rounds(times(6, 500), &[1, 2], |fixture, gap| {
        let round = format!("before {}", RESTART[*gap].0);
        let server = fixture.server();
        let mut again = None;
        let mut rows = fixture.resolve();
        for (place, (tool, args)) in RESTART.iter().enumerate() {
            if place == *gap {
                again = Some(fixture.swap(&server, Successor::Again));
            }
            let outcome = fixture.run(tool, args, &rows);
            assert_eq!(outcome.code(), 0, "{round}: {tool}: {outcome}");
            if *tool == "swift-signal" {
                assert_eq!(said(&outcome), ["stopped stale"], "{round}");
            }
            rows = outcome.out();
        }
        let again = again.expect("every gap is one of these");
        assert!(rows.ends_with("\trunning\t-\n"), "{round}: {rows}");
        fixture.told_truth(&again, Successor::Again, &round);
        fixture.unharmed(&again, &round);
    });
}

/// What was seen to run and is somebody else's by now is signalled by none of these.
///
/// Fails when a command line, a config or a start is not compared.
#[test]
fn pid_reuse_between_tools_gets_no_signal() {
    let signals: [Gap; 5] = [
        ("swift-signal", &["--wait=60", "TERM"]),
        ("swift-signal", &["graceful"]),
        ("swift-signal", &["KILL"]),
        ("swift-signal", &["--kill", "--wait=0", "stop"]),
        ("swift-signal", &["--children", "HUP"]),
    ];
    Fixture::rounds(
        times(25, 1000),
        &pairs(&signals, &ALL),
        |fixture, &((tool, args), who)| {
            let round = format!("{tool} {args:?}, {who:?}");
            let server = fixture.server_with(1);
            let seen = fixture.run(
                "swift-pidfile",
                &["--clean", "--running"],
                &fixture.resolve(),
            );
            assert_eq!(said(&seen), ["running -"], "{round}");
            let successor = fixture.swap_with(&server, who, 1);
            let outcome = fixture.run(tool, args, &seen.out());
            assert_eq!(said(&outcome), [who.seen()], "{round}: {outcome}");
            assert_eq!(outcome.code(), 0, "{round}");
            fixture.told_truth(&successor, who, &round);
            fixture.unharmed(&successor, &round);
        },
    );
}
