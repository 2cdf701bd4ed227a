//! Each tool killed at each of its steps: the next command sees the truth and repairs it.

use test_helpers::{Sandbox, run};

use crate::points::Points;
use crate::soak::times;

#[test]
fn a_tool_stops_and_dies_where_it_is_told_to() {
    let sandbox = Sandbox::new();
    sandbox.install(&["object-server"]);
    sandbox.conf("object-server.conf", "");
    let points = Points::new(&sandbox);
    let mut command = sandbox.command("swift-resolve-servers");
    command.args(["--swift-dir=etc", "--run-dir=run", "object"]);
    for _ in 0..times(3, 1000) {
        points.kill_at("swift-resolve-servers:scanned");
        let outcome = run(points.apply(&mut command));
        assert_eq!((outcome.code(), outcome.out().as_str()), (128 + 9, ""));
        assert!(!points.is_left("swift-resolve-servers:scanned"));
    }

    let pause = points.pause_at("swift-resolve-servers:scanned");
    let mut child = command.spawn().expect("it can be started");
    assert_eq!(pause.reached(), child.id() as i32);
    assert!(child.try_wait().expect("it is ours").is_none());
    pause.go();
    assert!(child.wait().expect("it is ours").success());
}
