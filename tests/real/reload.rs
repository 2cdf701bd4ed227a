//! Reloads while an object is on its way: it arrives, whatever is replaced around it.

use test_helpers::lab::{Lab, Process};

use crate::{MAIN, PATIENCE};
use test_helpers::http::{Upload, await_max_header_size, max_header_size, request};

/// Larger than what sockets and proxy can hold back, so that the servers have to work for it.
const SIZE: usize = 4 << 20;

const OBJECT: &str = "/v1/AUTH_test/container/object";

/// The proxy and its workers before a reload, and an upload that one of them is busy with.
struct Before {
    proxy: Process,
    workers: Vec<Process>,
    body: Vec<u8>,
    upload: Upload,
}

impl Before {
    fn new(lab: &Lab) -> Before {
        lab.must("swift-init main start");
        assert_eq!(request(lab, "PUT", "/v1/AUTH_test/container", b"").0, 201);
        let proxy = lab.server("proxy-server");
        let workers = proxy.children();
        assert_eq!(workers.len(), 2, "the lab's proxy has two workers");
        let body: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
        Before {
            upload: Upload::begin(lab, OBJECT, &body),
            proxy,
            workers,
            body,
        }
    }

    /// The workers of the proxy as it is now that were not there before.
    fn new_workers(&self, proxy: &Process) -> usize {
        let old = |pid| self.workers.iter().any(|worker| worker.pid == pid);
        let now = proxy.children();
        now.iter().filter(|worker| !old(worker.pid)).count()
    }

    /// The upload arrives whole, and then the worker that it kept goes.
    fn finish(self, lab: &Lab) {
        let busy = self.workers.iter().filter(|worker| worker.runs()).count();
        assert!(busy >= 1, "a worker went with a connection open");
        assert_eq!(self.upload.finish(), 201);
        let (status, stored) = request(lab, "GET", OBJECT, b"");
        assert_eq!(status, 200);
        assert!(stored == self.body, "the object is not what was sent");
        for worker in &self.workers {
            let left = worker.ends_within(PATIENCE);
            assert!(left, "worker {} is still there", worker.pid);
        }
    }
}

fn graceful(lab: &Lab, reload: &str) -> test_helpers::Outcome {
    let before = Before::new(lab);
    let outcome = lab.must(reload);
    let proxy = lab.server("proxy-server");
    assert_ne!(proxy.pid, before.proxy.pid, "the parent was replaced");
    assert!(!before.proxy.runs(), "the old parent is gone");
    assert_eq!(before.new_workers(&proxy), 2);
    before.finish(lab);
    outcome
}

fn seamless(lab: &Lab, reload: &str) -> test_helpers::Outcome {
    let before = Before::new(lab);
    assert_eq!(max_header_size(lab), 8192);
    lab.edit(
        "swift.conf",
        "max_header_size = 8192",
        "max_header_size = 12345",
    );
    let outcome = lab.must(reload);
    assert!(before.proxy.runs(), "the parent is the same process");
    assert_eq!(lab.server("proxy-server").pid, before.proxy.pid);
    // The child that closes the old generation's sockets may still be there, too.
    assert!(before.new_workers(&before.proxy) >= 2);
    await_max_header_size(lab, 12345);
    before.finish(lab);
    outcome
}

#[test]
fn an_upload_survives_swift_init_reload() {
    let lab = Lab::new();
    graceful(&lab, "swift-init main reload");
}

#[test]
fn an_upload_survives_a_graceful_pipeline() {
    let lab = Lab::new();
    let outcome = graceful(
        &lab,
        "swift-resolve-servers main | swift-pidfile --clean | swift-check-config |
            swift-signal graceful | swift-spawn",
    );
    outcome.assert_states(&MAIN, "ready");
}

#[test]
fn an_upload_survives_swift_init_reload_seamless() {
    let lab = Lab::new();
    seamless(&lab, "swift-init main reload-seamless");
}

#[test]
fn an_upload_survives_a_seamless_pipeline() {
    let lab = Lab::new();
    let outcome = seamless(
        &lab,
        "swift-resolve-servers main | swift-pidfile --running | swift-reload",
    );
    outcome.assert_states(&MAIN, "reloaded");
}

#[test]
fn an_upload_survives_swift_reload_of_one_pid() {
    let lab = Lab::new();
    seamless(&lab, "swift-reload $(cat /run/swift/proxy-server.pid)");
}
