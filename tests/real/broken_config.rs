//! A config that the server refuses: whatever was asked for, the old service goes on.

use test_helpers::Outcome;
use test_helpers::lab::Lab;

use test_helpers::http::healthy;

/// Runs a line on a proxy whose config was broken after it had started.
fn with_broken_config(line: &str) -> Outcome {
    let lab = Lab::new();
    lab.must("swift-init proxy-server start");
    let proxy = lab.server("proxy-server");
    let workers = proxy.children();
    lab.edit("proxy-server.conf", "pipeline = ", "pipeline = nonsense ");

    let outcome = lab.sh(line);
    assert!(proxy.runs(), "the parent was left alone: {outcome}");
    assert!(workers.iter().all(|worker| worker.runs()), "{outcome}");
    assert_eq!(lab.server("proxy-server").pid, proxy.pid);
    assert!(healthy(&lab), "{outcome}");
    outcome
}

/// The server's own words reach the operator.
fn assert_explained(outcome: &Outcome) {
    let said = outcome.out() + &outcome.err();
    assert!(said.contains("nonsense"), "{outcome}");
}

#[test]
fn swift_init_leaves_the_old_service_answering() {
    for command in ["restart", "reload", "reload-seamless"] {
        let outcome = with_broken_config(&format!("swift-init proxy-server {command}"));
        assert_eq!(outcome.code(), 1, "{command}: {outcome}");
        assert_explained(&outcome);
    }
}

#[test]
fn a_restarting_pipeline_leaves_the_old_service_answering() {
    let outcome = with_broken_config(
        "swift-resolve-servers proxy-server | swift-pidfile --clean | swift-check-config |
            swift-signal graceful | swift-spawn",
    );
    assert_eq!(outcome.states()["proxy-server"], "misconfigured");
    assert_explained(&outcome);
}

#[test]
fn swift_reload_leaves_the_old_service_answering() {
    let outcome = with_broken_config(
        "swift-resolve-servers proxy-server | swift-pidfile --running | swift-reload",
    );
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert_eq!(outcome.states()["proxy-server"], "misconfigured");
    assert_explained(&outcome);

    let outcome = with_broken_config("swift-reload $(cat /run/swift/proxy-server.pid)");
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert_explained(&outcome);
}
