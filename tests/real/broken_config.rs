//! A config that the server refuses: whatever was asked for, the old service goes on.

use std::fs;

use test_helpers::Outcome;
use test_helpers::lab::Lab;

use test_helpers::http::{await_healthy, healthy};

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

/// Sets a key of the proxy's [DEFAULT] section.
fn set(lab: &Lab, key: &str, value: &str) {
    let path = lab.etc().join("proxy-server.conf");
    let text = fs::read_to_string(&path).expect("the laboratory's configs can be read");
    let is_old = |line: &&str| line.starts_with(&format!("{key} = "));
    let mut lines: Vec<&str> = text.lines().filter(|line| !is_old(line)).collect();
    let new = format!("{key} = {value}");
    lines.insert(1, &new);
    fs::write(path, lines.join("\n") + "\n").expect("the laboratory's configs can be written");
}

/// Swift's own check takes each of these, and a start with it ends. What the operator is told ends
/// with the last column.
const PASSED_BY_SWIFT: &[(&str, &str, &str)] = &[
    (
        "user",
        "nobody-there",
        ":2: user: no such user: nobody-there",
    ),
    (
        "bind_ip",
        "192.0.2.1",
        ":2: bind_ip: no address of this machine: 192.0.2.1",
    ),
    (
        "cert_file",
        "/nonexistent",
        ":2: cert_file: key_file is not set beside it",
    ),
    (
        "max_clients",
        "many",
        ":2: max_clients: not a whole number: many",
    ),
    ("bind_timeout", "0", ":2: bind_timeout: out of range: 0"),
    ("workers", "-1", ":2: workers: out of range: -1"),
];

#[test]
fn a_config_that_swift_takes_and_cannot_start_with_is_refused() {
    let lab = Lab::new();
    lab.must("swift-init proxy-server start");
    let proxy = lab.server("proxy-server");
    let workers = proxy.children();
    let config = lab.etc().join("proxy-server.conf");
    let good = fs::read(&config).expect("the laboratory's configs can be read");
    for (key, value, told) in PASSED_BY_SWIFT {
        set(&lab, key, value);
        lab.must("swift-proxy-server /etc/swift/proxy-server.conf --test-config");
        let reload = format!("swift-reload {}", proxy.pid);
        for line in [
            "swift-init proxy-server restart",
            "swift-init proxy-server reload-seamless",
            &reload,
        ] {
            let outcome = lab.sh(line);
            assert_eq!(outcome.code(), 1, "{line}: {outcome}");
            let told = format!("/etc/swift/proxy-server.conf{told}\n");
            assert!(outcome.err().contains(&told), "{line}: {outcome}");
            assert!(
                proxy.runs() && workers.iter().all(|worker| worker.runs()),
                "{line}: {outcome}"
            );
        }
        assert!(healthy(&lab), "{key} = {value}");
        fs::write(&config, &good).expect("the laboratory's configs can be written");
    }
    lab.must("swift-init proxy-server reload-seamless");
    await_healthy(&lab);
}

#[test]
fn a_daemon_with_a_config_that_it_cannot_start_with_is_left_alone() {
    let lab = Lab::new();
    lab.must("swift-init object-updater start");
    let updater = lab.server("object-updater");
    lab.edit(
        "object-server.conf",
        "[object-updater]",
        "[object-updater]\nuser = nobody-there",
    );
    let outcome = lab.sh("swift-init object-updater restart");
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(
        outcome.err().contains("user: no such user: nobody-there"),
        "{outcome}"
    );
    assert!(updater.runs());
    lab.edit("object-server.conf", "[object-updater]", "[object-update]");
    let outcome = lab.sh("swift-init object-updater restart");
    assert!(
        outcome.err().contains("no section object-updater"),
        "{outcome}"
    );
    assert!(updater.runs());
}
