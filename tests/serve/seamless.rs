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
    crate::site::tell(&format!("{RELOADS} reloads: {}", counts.line.trim()));
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
