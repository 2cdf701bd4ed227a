//! Reload after reload, while clients never pause.

use crate::site::{ADDRESS, Site};

const RELOADS: usize = 100;

#[test]
fn a_hundred_reloads_lose_nothing() {
    let site = Site::new();
    let pid = site.start();
    let load = site.load(ADDRESS, 16, 16);
    for number in 1..=RELOADS {
        let outcome = site.sh(&format!("swift-reload {pid}"));
        assert_eq!(outcome.code(), 0, "reload {number}: {outcome}");
        assert_eq!(site.pid(), pid);
    }
    let counts = load.end();
    crate::site::report(&format!("{RELOADS} reloads: {}", counts.line.trim()));
    counts.all_answered();
    assert_eq!(site.told("generation"), (RELOADS + 1).to_string());
    site.until("the old workers have left", || site.is_at_rest());
}

#[test]
fn a_changed_config_is_in_force_afterwards() {
    let site = Site::new();
    let pid = site.start();
    site.conf(&[("text", "changed"), ("workers", "3")]);
    site.must("swift-init hello-server reload-seamless");
    assert_eq!(site.pid(), pid);
    site.until("the old workers have left", || site.is_at_rest());
    assert_eq!(site.told("text"), "changed");
    let rows = site.status().rows();
    assert_eq!(
        rows.iter().filter(|row| row[1] == "worker").count(),
        3,
        "{rows:?}"
    );
}

/// A request that the old generation has begun, which ends after the new one is there.
#[test]
fn a_slow_request_outlives_its_generation() {
    let site = Site::new();
    site.start();
    let slow = crate::graceful::Slow::begin(&site);
    site.must("swift-init hello-server reload-seamless");
    assert_eq!(site.told("generation"), "2");
    slow.finish();
    site.until("the old worker has left", || site.is_at_rest());
}

/// A server of which no file says anything, not started.
fn unlisted() -> Site {
    let site = Site::new();
    std::fs::remove_file(site.sandbox.etc().join("swift-init.toml")).expect("it is ours");
    site
}

/// The process shows that swift-serve runs it, and nothing needs to be written down of it.
#[test]
fn a_server_that_nothing_is_said_of_is_reloaded_by_its_pid() {
    let site = unlisted();
    let pid = site.start();
    let outcome = site.must(&format!("swift-reload {pid}"));
    assert_eq!(outcome.out(), "Reloaded swift-hello-server\n", "{outcome}");
    assert_eq!(site.told("generation"), "2");
    site.conf(&[("workers", "none")]);
    let refused = site.sh(&format!("swift-reload {pid}"));
    assert_eq!(refused.code(), 1, "{refused}");
    assert!(refused.err().ends_with("Failed to validate config\n"));
    site.conf(&[("behaviour", "fail")]);
    let refused = site.sh(&format!("swift-reload {pid}"));
    assert_eq!(refused.code(), 1, "{refused}");
    let why = format!("{pid} (hello-server): its old generation serves on");
    assert!(refused.err().contains(&why), "{refused}");
}

/// The file need not be a program: then swift-serve bears its own name.
#[test]
fn a_file_that_swift_serve_is_given_is_reloaded_by_the_pid() {
    let site = unlisted();
    let file = site.sandbox.path("hello.toml");
    std::fs::write(&file, crate::site::HELLO).expect("the sandbox is ours");
    let config = site.sandbox.etc().join("hello-server.conf");
    let (file, config) = (file.display(), config.display());
    let line = format!("swift-serve {file} {config} >/dev/null 2>&1 & echo $!");
    let pid = site.must(&line).out().trim().to_owned();
    let serves = format!("swift-serve --status {pid} | grep -q serving");
    site.until("it serves", || site.sh(&serves).code() == 0);
    let outcome = site.must(&format!("swift-reload {pid}"));
    assert_eq!(outcome.out(), "Reloaded hello.toml\n", "{outcome}");
    assert_eq!(site.told("generation"), "2");
}
