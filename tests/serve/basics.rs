//! Start, answer, replace a worker, stop.

use crate::site::{ADDRESS, Site};

#[test]
fn starts_answers_and_stops_under_swift_init() {
    let site = Site::new();
    site.start();
    assert_eq!(site.told("text"), "hello");
    assert_eq!(site.told("generation"), "1");
    site.must("swift-init hello-server status");
    let rows = site.status().rows();
    let kinds = |kind: &str| rows.iter().filter(|row| row[1] == kind).count();
    assert_eq!(
        (kinds("manager"), kinds("worker"), kinds("listen")),
        (1, 2, 1),
        "{rows:?}"
    );
    site.must("swift-init hello-server stop");
    let refused = site.sh(&format!("http-client get {ADDRESS} /"));
    assert!(refused.err().contains("ConnectionRefused"), "{refused}");
    let left = site.sh(crate::site::WORKERS);
    assert_eq!(left.out(), "", "workers are left");
}

#[test]
fn a_worker_that_dies_is_replaced() {
    let site = Site::new();
    site.conf(&[("workers", "1")]);
    site.start();
    let first = site.told("pid");
    let died = site.sh(&format!("http-client get {ADDRESS} /die"));
    assert_eq!(died.code(), 1, "{died}");
    // The socket is still there: this waits in its queue until the new worker takes it.
    assert_ne!(site.told("pid"), first);
}

/// Workers whose program is gone cannot be replaced.
#[test]
fn the_status_counts_the_workers_that_serve_now() {
    let site = Site::new();
    let worker = site.sandbox.path("worker");
    let worker = worker.to_str().expect("a path in UTF-8");
    site.must(&format!("cp \"$(command -v http-worker)\" {worker}"));
    site.conf(&[("program", worker)]);
    site.start();
    let says = |what: &str| site.status().out().contains(what);
    site.must(&format!("mv {worker} {worker}.away"));
    for what in [
        "1 of 2 workers serve now; generation 1",
        "0 of 2 workers serve now; ",
    ] {
        site.sh(&format!("http-client get {ADDRESS} /die"));
        site.until(what, || says(what));
    }
    site.must(&format!("mv {worker}.away {worker}"));
    site.until("all serve again", || !says("workers serve now; "));
    assert_eq!(site.told("text"), "hello");
}

#[test]
fn workers_outlive_a_manager_that_was_killed_and_a_start_replaces_them() {
    let site = Site::new();
    let pid = site.start();
    site.must(&format!("kill -9 {pid}"));
    assert_eq!(site.told("text"), "hello");
    site.conf(&[("text", "again")]);
    site.must("swift-init hello-server start");
    site.until("only new workers answer", || site.told("text") == "again");
}

/// Each way of being ready, on each kind of address.
#[test]
fn ready_in_four_ways_on_three_kinds_of_address() {
    for ready in ["notify", "newline", "accept", "exec"] {
        let site = Site::with(
            "hello-server",
            &format!(
                "listen = [\"127.0.0.1:8080\", \"[::1]:8081\", \"unix:{{socket}}\"]\n\
                 command = [\"{{program}}\", \"{}\", \"text=hello\"]\n\
                 ready = \"{ready}\"\n",
                if ["accept", "exec"].contains(&ready) {
                    "silent"
                } else {
                    ready
                },
            ),
        );
        let socket = site.sandbox.path("socket");
        let socket = socket.to_str().expect("a path in UTF-8");
        site.conf(&[("socket", socket)]);
        site.start();
        for address in [ADDRESS, "[::1]:8081", &format!("unix:{socket}")] {
            assert!(
                site.get(address, "/").contains("text=hello"),
                "{ready} {address}"
            );
        }
        let load = site.load(&format!("unix:{socket}"), 4, 4);
        site.must("swift-init hello-server reload-seamless");
        site.must("swift-init hello-server reload-seamless");
        load.end().all_answered();
        site.must("swift-init hello-server stop");
    }
}

/// The sockets are bound by the manager, and the workers are somebody else. Who may not become
/// anybody else can at least become themselves.
#[test]
fn workers_run_as_the_user_that_the_file_says() {
    let me = test_helpers::run(std::process::Command::new("id").arg("-un"));
    let user = match me.out().trim() {
        "root" => "nobody".to_owned(),
        other => other.to_owned(),
    };
    let file = format!("{}user = \"{user}\"\n", crate::site::HELLO);
    let site = Site::with("hello-server", &file);
    site.conf(&[]);
    site.start();
    let uid = site.must(&format!("id -u {user}")).out();
    assert_eq!(site.told("uid"), uid.trim());
    let owner = site.must(&format!("stat -c %U /proc/{}", site.pid()));
    assert_eq!(owner.out(), me.out(), "the manager stays who it is");
    site.must("swift-init hello-server reload-seamless");
    assert_eq!(site.told("uid"), uid.trim());
}
