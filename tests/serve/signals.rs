//! Signals that come at bad moments, and what workers inherit of them.

use std::fs::{self, File, OpenOptions};

use crate::graceful::Slow;
use crate::site::{ADDRESS, HELLO, Site, WORKERS};

/// The manager has its signals blocked, and the runtime ignores SIGPIPE: workers get neither.
#[test]
fn workers_get_a_clean_slate() {
    let site = Site::with(
        "hello-server",
        "listen = [\"{bind_ip}:{bind_port}\"]\nready = \"exec\"\n\
         command = [\"sh\", \"-c\", \"grep ^Sig /proc/self/status >{seen}; exec {program} silent\"]\n",
    );
    let seen = site.sandbox.path("seen");
    site.conf(&[("seen", seen.to_str().expect("a path in UTF-8"))]);
    let pid = site.start();
    for generation in ["1", "2"] {
        assert_eq!(site.told("generation"), generation);
        let signals = fs::read_to_string(&seen).expect("the worker has written it");
        for what in ["SigBlk", "SigIgn"] {
            let line = signals.lines().find(|line| line.starts_with(what));
            let mask = line.and_then(|line| line.split_whitespace().nth(1));
            assert_eq!(mask, Some("0000000000000000"), "{what}: {signals}");
        }
        if generation == "1" {
            site.must(&format!("swift-reload {pid}"));
            site.until("the old worker has left", || site.is_at_rest());
        }
    }
}

/// A site in the middle of a reload: a worker of the new generation stands at the gate.
fn at_the_gate(meanwhile: impl FnOnce(&Site, &str, File)) {
    let site = Site::new();
    let pid = site.start();
    let gate = site.sandbox.path("gate.fifo");
    let gate = gate.to_str().expect("a path in UTF-8");
    site.must(&format!("mkfifo {gate}"));
    site.conf(&[("workers", "1"), ("gate", gate)]);
    site.must(&format!("kill -USR1 {pid}"));
    let gate = OpenOptions::new().write(true).open(gate);
    meanwhile(&site, &pid, gate.expect("a fifo can be opened"));
}

#[test]
fn stopped_in_the_middle_of_a_reload() {
    at_the_gate(|site, _, gate| {
        site.must("swift-init hello-server stop");
        site.until("no worker is left", || site.sh(WORKERS).out().is_empty());
        drop(gate);
    });
}

#[test]
fn told_to_leave_in_the_middle_of_a_reload() {
    at_the_gate(|site, pid, gate| {
        let slow = Slow::begin(site);
        site.must(&format!("kill -HUP {pid}"));
        site.until("the manager has left", || {
            site.sh(&format!("kill -0 {pid}")).code() != 0
        });
        // A worker that was not yet ready learns of it when it is.
        drop(gate);
        slow.finish();
        site.until("no worker is left", || site.sh(WORKERS).out().is_empty());
        let refused = site.sh(&format!("http-client get {ADDRESS} /"));
        assert!(refused.err().contains("ConnectionRefused"), "{refused}");
    });
}

#[test]
fn an_old_worker_that_never_finishes_is_killed() {
    let site = Site::with(
        "hello-server",
        &format!("{HELLO}stale_worker_timeout = 1\n"),
    );
    site.conf(&[]);
    site.start();
    let slow = Slow::begin(&site);
    site.must("swift-init hello-server reload-seamless");
    slow.await_cut();
    site.until("the old worker is gone", || site.is_at_rest());
    assert_eq!(site.told("generation"), "2");
}
