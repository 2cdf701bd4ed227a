//! Every command, on real servers and some of their daemons.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use test_helpers::http::{healthy, listens, request};
use test_helpers::lab::{Lab, Process};

use crate::{ALL_OF_SOME, MAIN, PATIENCE, Release, SOME, assert_no_process, assert_nothing_left};

/// Through swift-init, one after another on the same servers.
pub fn swift_init(release: &Release) {
    let lab = release.lab();
    let started = lab.must(&format!("swift-init {SOME} start")).out();
    for server in MAIN {
        let line = format!("Starting {server}...(/etc/swift/{server}.conf)\n");
        assert!(started.contains(&line), "{started}");
    }
    assert_serves(&lab);
    assert_status(&lab);
    let again = lab.sh("swift-init object-server start");
    assert_eq!(again.code(), 1, "there was nothing to start: {again}");

    for command in ["restart", "reload", "force-reload"] {
        let before = ALL_OF_SOME.map(|server| lab.server(server));
        lab.must(&format!("swift-init {SOME} {command}"));
        for (old, server) in before.iter().zip(ALL_OF_SOME) {
            assert!(!old.runs(), "{command} left the old {server}");
            assert!(lab.server(server).runs(), "{command} started no {server}");
        }
        assert_serves(&lab);
    }
    assert_status(&lab);

    lab.must(&format!("swift-init {SOME} stop"));
    assert_nothing_left(&lab);
    let status = lab.sh("swift-init main status");
    assert_eq!(status.code(), 1, "{status}");
    for server in MAIN {
        let line = format!("No {server} running\n");
        assert!(status.out().contains(&line), "{status}");
    }

    for end in ["shutdown", "kill"] {
        lab.must("swift-init account-server object-auditor start");
        lab.must(&format!("swift-init account-server object-auditor {end}"));
        assert_nothing_left(&lab);
    }
}

/// Through pipelines of the single tools.
pub fn pipelines(release: &Release) {
    let lab = release.lab();
    let resolve = format!("swift-resolve-servers {SOME}");
    lab.must(&format!("{resolve} | swift-pidfile --clean | swift-spawn"))
        .assert_states(&ALL_OF_SOME, "ready");
    assert_serves(&lab);

    let running = lab.must(&format!("{resolve} | swift-pidfile --running"));
    running.assert_states(&ALL_OF_SOME, "running");
    for row in running.rows() {
        assert_eq!(row[3], lab.server(&row[0]).pid.to_string(), "{running}");
    }

    let before = ALL_OF_SOME.map(|server| lab.server(server));
    lab.must(&format!(
        "{resolve} | swift-pidfile --clean | swift-check-config | swift-signal graceful | swift-spawn"
    ))
    .assert_states(&ALL_OF_SOME, "ready");
    assert!(before.iter().all(|old| !old.runs()), "the old ones went");
    assert_serves(&lab);

    lab.must(&format!(
        "{resolve} | swift-pidfile --running | swift-signal stop"
    ))
    .assert_states(&ALL_OF_SOME, "stopped");
    assert_nothing_left(&lab);

    lab.must("swift-resolve-servers object-auditor | swift-pidfile --clean | swift-spawn --once")
        .assert_states(&["object-auditor"], "finished");
    assert_no_process(&lab);
}

/// Those in which swift-init, or the server, waits for the other: no-wait, no-daemon, once.
pub fn that_stay(release: &Release) {
    let lab = release.lab();
    lab.must("swift-init main no-wait");
    let end = Instant::now() + PATIENCE;
    while !listens(&lab) {
        assert!(Instant::now() < end, "the proxy does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    lab.must("swift-init main stop");
    assert_nothing_left(&lab);

    let line = "Running object-auditor once...(/etc/swift/object-server.conf)\n";
    let once = lab.must("swift-init object-auditor once");
    assert!(once.out().contains(line), "{once}");
    assert_no_process(&lab);

    let mut swift_init = no_daemon(&lab);
    let status = Command::new("kill")
        .args(["-s", "TERM", &swift_init.id().to_string()])
        .status();
    assert!(status.expect("kill can be run").success());
    swift_init.wait().expect("it ends");
    assert_no_process(&lab);
}

/// `swift-init proxy-server no-daemon`, once the proxy answers.
fn no_daemon(lab: &Lab) -> Child {
    let mut command = lab.command("swift-init");
    command.args(["proxy-server", "no-daemon"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn();
    let child = child.expect("swift-init can be run");
    let process = Process::open(child.id() as i32).expect("it was not waited for");
    // A server in the foreground tells nobody that it is ready; only trying does.
    let end = Instant::now() + PATIENCE;
    while !listens(lab) {
        assert!(Instant::now() < end, "the proxy does not answer");
        assert!(process.runs(), "swift-init went");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// An object goes through all four servers and comes back.
fn assert_serves(lab: &Lab) {
    assert!(healthy(lab));
    let object = "/v1/AUTH_test/container/object";
    let (container, _) = request(lab, "PUT", "/v1/AUTH_test/container", b"");
    assert!([201, 202].contains(&container), "{container}");
    assert_eq!(request(lab, "PUT", object, b"hello").0, 201);
    assert_eq!(request(lab, "GET", object, b""), (200, b"hello".to_vec()));
}

/// status names each with its pid and its config.
fn assert_status(lab: &Lab) {
    let status = lab.must(&format!("swift-init {SOME} status")).out();
    for server in ALL_OF_SOME {
        let pid = lab.server(server).pid;
        let (kind, _) = server.split_once('-').expect("a name has two parts");
        let line = format!("{server} running ({pid} - /etc/swift/{kind}-server.conf)\n");
        assert!(status.contains(&line), "{line}{status}");
    }
    assert_eq!(status.lines().count(), ALL_OF_SOME.len(), "{status}");
}
