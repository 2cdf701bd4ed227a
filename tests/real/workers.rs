//! New workers under the same parent.

use std::time::{Duration, Instant};

use test_helpers::lab::Lab;

use crate::{MAIN, PATIENCE};
use test_helpers::http::{Upload, healthy, request};

#[test]
fn workers_are_replaced_and_an_upload_survives() {
    let lab = Lab::new();
    let started = lab.must("swift-resolve-servers main | swift-pidfile --clean | swift-spawn");
    started.assert_states(&MAIN, "ready");
    assert_eq!(request(&lab, "PUT", "/v1/AUTH_test/container", b"").0, 201);
    let proxy = lab.server("proxy-server");
    let old = proxy.children();
    let upload = Upload::begin(&lab, "/v1/AUTH_test/container/object", &[7; 1 << 20]);

    let signalled = lab.must(
        "swift-resolve-servers proxy-server | swift-pidfile --running |
            swift-signal --children HUP",
    );
    signalled.assert_states(&["proxy-server"], "signalled");
    assert_eq!(upload.finish(), 201);
    for worker in &old {
        let left = worker.ends_within(PATIENCE);
        assert!(left, "worker {} is still there", worker.pid);
    }
    assert!(proxy.runs(), "the parent stays");

    // Nothing tells of another process's new children, so this one has to look.
    let end = Instant::now() + PATIENCE;
    while proxy.children().len() < old.len() {
        assert!(Instant::now() < end, "no new workers came");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(healthy(&lab));
}
