//! Start, status, stop, kill.

use test_helpers::lab::Lab;

use crate::MAIN;
use test_helpers::http::healthy;

#[test]
fn swift_init_starts_shows_and_stops_the_main_servers() {
    let lab = Lab::new();
    let started = lab.must("swift-init main start").out();
    for server in MAIN {
        let line = format!("Starting {server}...(/etc/swift/{server}.conf)\n");
        assert!(started.contains(&line), "{started}");
    }
    assert!(healthy(&lab));

    let status = lab.must("swift-init main status").out();
    for server in MAIN {
        let pid = lab.server(server).pid;
        let line = format!("{server} running ({pid} - /etc/swift/{server}.conf)\n");
        assert!(status.contains(&line), "{status}");
    }
    assert_eq!(status.lines().count(), MAIN.len());

    let again = lab.must("swift-init main start");
    assert!(again.out().contains("object-server already started...\n"));
    let named = lab.sh("swift-init object-server start");
    assert_eq!(named.code(), 1, "there was nothing to start: {named}");

    let stopped = lab.must("swift-init main stop").out();
    assert!(stopped.contains(") appears to have stopped\n"), "{stopped}");
    assert_nothing_left(&lab);
    let status = lab.sh("swift-init main status");
    assert_eq!(status.code(), 1);
    assert!(status.out().contains("No proxy-server running\n"));
}

#[test]
fn a_pipeline_starts_shows_and_stops_the_main_servers() {
    let lab = Lab::new();
    let started = lab.must("swift-resolve-servers main | swift-pidfile --clean | swift-spawn");
    started.assert_states(&MAIN, "ready");
    assert!(healthy(&lab));

    let status = lab.must("swift-resolve-servers main | swift-pidfile");
    status.assert_states(&MAIN, "running");
    for row in status.rows() {
        assert_eq!(row[3], lab.server(&row[0]).pid.to_string(), "{status}");
    }

    let stop = "swift-resolve-servers main | swift-pidfile --running | swift-signal stop";
    lab.must(stop).assert_states(&MAIN, "stopped");
    assert_nothing_left(&lab);
}

#[test]
fn swift_init_kills() {
    let lab = Lab::new();
    lab.must("swift-init object-server start");
    lab.must("swift-init object-server kill");
    assert_nothing_left(&lab);
    let nothing = lab.must("swift-init object-server kill");
    assert!(nothing.out().contains("No object-server running\n"));
}

/// A stopped process cannot obey SIGTERM, so only SIGKILL ends it. The wait is short for that reason.
#[test]
fn a_server_that_does_not_obey_is_killed_with_its_workers() {
    for kill in [
        "swift-init object-server stop --kill-wait=1 --kill-after-timeout",
        "swift-resolve-servers object-server | swift-pidfile --running |
            swift-signal --wait 1 --kill stop",
    ] {
        let lab = Lab::new();
        lab.must("swift-init object-server start");
        let pause = "swift-resolve-servers object-server | swift-pidfile | swift-signal STOP";
        lab.must(pause)
            .assert_states(&["object-server"], "signalled");
        lab.must(kill);
        assert_nothing_left(&lab);
    }
}

/// Neither a process, nor a pid file that says there is one.
fn assert_nothing_left(lab: &Lab) {
    assert_eq!(lab.processes(), [], "still running");
    for server in MAIN {
        assert!(!lab.pid_file(server).exists(), "{server} has a pid file");
    }
}
