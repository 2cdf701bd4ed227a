//! The manager killed by SIGKILL at each step of a reload. Its fault points are there in test builds
//! only: `--features swift-serve/faults`.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod site;

use std::fs;

use site::{ADDRESS, Site};

/// The points, in the order in which a reload meets them.
const POINTS: &[&str] = &[
    "reload-begun",
    "check-done",
    "before-fork",
    "after-fork",
    "before-exec",
    "after-exec",
    "state-read",
    "bound",
    "workers-started",
    "workers-ready",
    "before-release",
    "after-release",
    "done",
];

/// Who serves after the death at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    /// The workers, without a manager: a start replaces them.
    Orphans,
    /// The keeper, as the manager of the old generation.
    Keeper,
}

#[test]
fn the_service_outlives_a_manager_that_is_killed_at_any_step() {
    let mut after = After::Orphans;
    for point in POINTS {
        match *point {
            "after-fork" => after = After::Keeper,
            "after-release" => after = After::Orphans,
            _ => {}
        }
        site::tell(&format!("{point}: {after:?}"));
        killed_at(point, after);
    }
}

fn killed_at(point: &str, after: After) {
    let site = Site::new();
    let plans = site.sandbox.path("faults");
    fs::create_dir(&plans).expect("the sandbox is ours");
    let plan = plans.join(format!("swift-serve:{point}"));
    site.must(&format!(
        "SWIFT_FAULTS={} swift-init hello-server start",
        plans.display()
    ));
    let pid = site.pid();
    let load = site.load(ADDRESS, 4, 4);
    fs::write(&plan, "").expect("the sandbox is ours");
    let reload = site.sh(&format!("swift-reload {pid}"));
    assert!(
        !plan.exists(),
        "{point}: the manager has not come by: {reload}"
    );
    // Only at the very last point may it have said before that all is well.
    assert!(reload.code() == 1 || point == "done", "{point}: {reload}");
    assert_eq!(site.told("text"), "hello", "{point}");
    site.conf(&[("text", "again")]);
    match after {
        After::Keeper => {
            site.until("the keeper is in the pid file", || site.pid() != pid);
            site.until("the keeper serves", || site.is_at_rest());
            let keeper = site.pid();
            site.must("swift-init hello-server status");
            site.must("swift-init hello-server reload-seamless");
            site.until("new workers answer", || site.told("text") == "again");
            assert_eq!(
                site.pid(),
                keeper,
                "{point}: the keeper is a manager like any other"
            );
            site.until("it is at rest", || site.is_at_rest());
            let counts = load.end();
            site::tell(&format!("{point}: {}", counts.line.trim()));
            counts.all_answered();
        }
        After::Orphans => {
            load.end().all_answered();
            site.must("swift-init hello-server start");
            site.until("new workers answer", || site.told("text") == "again");
        }
    }
    site.must("swift-init hello-server stop");
    let left = site.sh(site::WORKERS);
    assert_eq!(left.out(), "", "{point}: workers are left");
}
