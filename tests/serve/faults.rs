//! The manager killed by SIGKILL at each step of a reload. Its fault points are there in test builds
//! only: `--features swift-serve/faults`.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod site;
mod upgrade;

use std::fs;

use site::{ADDRESS, Site};

/// The points, in the order in which a reload meets them.
const POINTS: &[&str] = &[
    "reload-begun",
    "before-fork",
    "after-fork",
    "announced",
    "check-done",
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
    /// The workers, without a manager: a start takes them over.
    Orphans,
    /// The standby, as the manager of the old generation, or of the new one.
    Standby,
}

#[test]
fn the_service_outlives_a_manager_that_is_killed_at_any_step() {
    let mut after = After::Orphans;
    for point in POINTS {
        if *point == "after-fork" {
            after = After::Standby;
        }
        site::report(&format!("{point}: {after:?}"));
        killed_at(&Site::new(), point, after);
    }
}

/// Fails when the standby cannot write the pid file without openat2(2).
#[test]
fn a_standby_is_tracked_where_openat2_is_refused() {
    let mut site = Site::new();
    site.sandbox
        .refuse(nix::libc::SYS_openat2, nix::libc::ENOSYS);
    killed_at(&site, "before-exec", After::Standby);
}

fn killed_at(site: &Site, point: &str, after: After) {
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
    // At the very last point it has told swift-reload before it gets there.
    site.until(&format!("{point}: the manager comes by: {reload}"), || {
        !plan.exists()
    });
    // Only at the very last point may it have said before that all is well.
    assert!(reload.code() == 1 || point == "done", "{point}: {reload}");
    assert_eq!(site.told("text"), "hello", "{point}");
    site.conf(&[("text", "again")]);
    match after {
        After::Standby => {
            site.until("the standby is in the pid file", || site.pid() != pid);
            site.until("the standby serves", || site.is_at_rest());
            let standby = site.pid();
            site.must("swift-init hello-server status");
            site.must("swift-init hello-server reload-seamless");
            site.until("new workers answer", || site.told("text") == "again");
            assert_eq!(
                site.pid(),
                standby,
                "{point}: the standby is a manager like any other"
            );
            site.until("it is at rest", || site.is_at_rest());
            let counts = load.end();
            site::report(&format!("{point}: {}", counts.line.trim()));
            counts.all_answered();
        }
        After::Orphans => {
            site.must("swift-init hello-server start");
            site.until("new workers answer", || site.told("text") == "again");
            load.end().all_answered();
        }
    }
    site.must("swift-init hello-server stop");
    let left = site.sh(site::WORKERS);
    assert_eq!(left.out(), "", "{point}: workers are left");
}

/// Workers know their manager by its number. A manager of another server may have had it before, and
/// been killed: its workers serve on until somebody starts that server again.
///
/// Fails when the workers of a dead manager are found by its number and their generation alone.
#[test]
fn a_standby_ends_no_worker_of_another_server() {
    let site = Site::new();
    let plans = site.sandbox.path("faults");
    fs::create_dir(&plans).expect("the sandbox is ours");
    let faults = format!("SWIFT_FAULTS={}", plans.display());
    site.must(&format!("{faults} swift-init hello-server start"));
    let pid = site.pid();
    let bear = |server: &str| {
        let line = format!(
            "env SWIFT_SERVE_MANAGER={pid} SWIFT_SERVE_GENERATION=2 SWIFT_SERVE_SERVER='{server}' \
             sleep 1000 >/dev/null 2>&1 & echo $!"
        );
        site.must(&line).out().trim().to_owned()
    };
    let other = bear("/usr/bin/swift-other-server /etc/swift/other-server.conf");
    let own = format!("{} /etc/swift/hello-server.conf", site.program().display());
    let own = bear(&own);
    fs::write(plans.join("swift-serve:before-exec"), "").expect("the sandbox is ours");
    assert_eq!(site.sh(&format!("swift-reload {pid}")).code(), 1);
    site.until("the standby is in the pid file", || site.pid() != pid);
    let lives = |pid: &str| site.sh(&format!("grep -qs '^State:[^ZX]*$' /proc/{pid}/status"));
    site.until("its own are ended", || lives(&own).code() != 0);
    assert_eq!(lives(&other).code(), 0);
    site.must("swift-init hello-server stop");
    assert_eq!(lives(&other).code(), 0);
}
