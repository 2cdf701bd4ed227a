//! Seamless reloads, and what is said where the servers know none.

use test_helpers::http::{Upload, await_max_header_size, healthy, max_header_size, request};
use test_helpers::lab::Lab;

use crate::{MAIN, PATIENCE, Release};

/// Larger than what sockets and proxy can hold back, so that the servers have to work for it.
const SIZE: usize = 4 << 20;

const COMMANDS: [&str; 3] = [
    "swift-init main object-auditor reload-seamless",
    "swift-resolve-servers main | swift-pidfile --running | swift-reload",
    "swift-reload $(cat /run/swift/proxy-server.pid)",
];

/// Three times on the same servers, each with an upload on its way.
pub fn reload(release: &Release) {
    let lab = release.lab();
    lab.must("swift-init main object-auditor start");
    assert_eq!(request(&lab, "PUT", "/v1/AUTH_test/container", b"").0, 201);
    let servers = MAIN.map(|server| lab.server(server));
    for (round, command) in COMMANDS.into_iter().enumerate() {
        if release.knows_seamless {
            let (old, new) = (8192 + round as u32, 8193 + round as u32);
            assert_reloads(&lab, command, old, new);
        } else {
            assert_refuses(&lab, command);
        }
        let all = servers.iter().zip(MAIN);
        for (process, server) in all {
            assert!(process.runs(), "{command} ended {server}");
            assert_eq!(lab.server(server).pid, process.pid, "{command}: {server}");
        }
    }
    lab.must("swift-init main object-auditor stop");
    crate::assert_nothing_left(&lab);
}

/// Under the same pid, with the new config in force, and the upload arrives.
fn assert_reloads(lab: &Lab, command: &str, old: u32, new: u32) {
    const OBJECT: &str = "/v1/AUTH_test/container/object";
    let body: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    let workers = lab.server("proxy-server").children();
    let upload = Upload::begin(lab, OBJECT, &body);
    assert_eq!(max_header_size(lab), old);
    let [from, to] = [old, new].map(|size| format!("max_header_size = {size}"));
    lab.edit("swift.conf", &from, &to);

    lab.must(command);
    await_max_header_size(lab, new);
    assert_eq!(upload.finish(), 201, "{command}");
    assert!(request(lab, "GET", OBJECT, b"").1 == body, "{command}");
    for worker in &workers {
        let left = worker.ends_within(PATIENCE);
        assert!(left, "{command}: the old worker {} is there", worker.pid);
    }
}

/// SIGUSR1 would end these servers.
fn assert_refuses(lab: &Lab, command: &str) {
    let outcome = lab.sh(command);
    assert_eq!(outcome.code(), 1, "{command}: {outcome}");
    assert!(outcome.err().contains("SIGUSR1"), "{command}: {outcome}");
    assert!(healthy(lab), "{command}: {outcome}");
}
