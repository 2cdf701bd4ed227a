//! What a caller leaves to be inherited: limits, and names that look like options.

use crate::assertions::{assert_tracked, must, servers, sh, swift_init, with_servers};
use test_helpers::run;

/// Fails when a tool dies of SIGXFSZ between a signal and the word of it, or when a restart stops what
/// cannot be started again. The servers have the default action nonetheless.
#[test]
fn a_file_size_limit_is_reported_before_any_stop() {
    let sandbox = with_servers(&["1", "2"]);
    must(&sandbox, "swift-init object start");
    let before = servers(&sandbox);
    // A pipe is no file, so that what is said arrives.
    let limited = |line: &str| {
        sh(
            &sandbox,
            &format!("{{ prlimit --fsize=0 {line} 2>&1; echo $? >code; }} | cat; exit $(cat code)"),
        )
    };
    for command in ["restart", "reload"] {
        let outcome = limited(&format!("swift-init object {command}"));
        let told = "swift-init: cannot write pid files: the limit of file sizes is 0 bytes\n";
        assert_eq!(
            (outcome.code(), outcome.out().as_str()),
            (1, told),
            "{outcome}"
        );
        assert_eq!(servers(&sandbox), before, "{command}");
    }
    for command in ["status", "reload-seamless", "stop"] {
        let outcome = limited(&format!("swift-init object {command}"));
        assert_eq!(outcome.code(), 0, "{command}: {outcome}");
    }
    let outcome = limited("swift-init object start");
    let told = outcome
        .out()
        .matches("cannot be written: File too large")
        .count();
    assert_eq!((outcome.code(), told), (1, 2), "{outcome}");
    assert_tracked(&sandbox, 0, "start");
    // Rows into a file that may not become longer.
    must(
        &sandbox,
        "swift-init object start; swift-resolve-servers object | swift-pidfile >running",
    );
    let outcome = sh(
        &sandbox,
        "prlimit --fsize=0 swift-signal stop <running >rows",
    );
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert_tracked(&sandbox, 0, "swift-signal");
}

/// Fails when a signal is announced before swift-signal is there to send it.
#[test]
fn a_signal_that_cannot_be_sent_is_not_announced() {
    let sandbox = with_servers(&["1", "2"]);
    must(&sandbox, "swift-init object start");
    let before = servers(&sandbox);
    for kib in (2048..16384).step_by(512) {
        let line = format!("prlimit --as={} swift-init object stop", kib << 10);
        let outcome = sh(&sandbox, &line);
        let sent = outcome.out().matches("Signal object-server").count();
        if outcome.code() == 0 {
            assert_eq!(
                (sent, servers(&sandbox).len()),
                (2, 0),
                "{kib} KiB: {outcome}"
            );
            return;
        }
        assert_eq!(
            (sent, servers(&sandbox)),
            (0, before.clone()),
            "{kib} KiB: {outcome}"
        );
    }
    panic!("16 MiB are enough");
}

/// Fails when swift-init's own options follow a `--` that a name needs.
#[test]
fn a_name_that_begins_with_a_dash_is_one_name() {
    let sandbox = with_servers(&["1"]);
    let outcome = run(&mut swift_init(&sandbox, "status -- -x"));
    assert!(!outcome.err().contains("--quiet"), "{outcome}");
    let outcome = run(&mut swift_init(&sandbox, "- status"));
    assert!(!outcome.err().contains("--quiet"), "{outcome}");
}
