//! Each tool killed at each of its steps: nothing runs without a pid file, none of those blocks
//! anything, and the next command sees the truth and repairs it.

mod at_any_event;
mod before_exec;
mod cases;
mod claims;
mod every_failpoint;
mod failing_tool;
mod fixture;
mod swift_init_killed;

use std::panic::{AssertUnwindSafe, catch_unwind};

use test_helpers::{Sandbox, run};

use crate::failpoints::Points;
use crate::soak::times;
use cases::{ACTORS, Case, OBSERVERS};
use fixture::Scene;

#[test]
fn a_failpoint_stops_and_kills_a_tool() {
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

/// Fails when swift-init goes on with the rows of a pipeline of which a tool was killed: then it stops,
/// starts or says what it does not know.
#[test]
fn a_killed_observer_is_repaired() {
    kill_at_each(OBSERVERS);
}

/// Fails when swift-spawn writes the pid file itself after the server has executed, and when swift-init
/// believes the rows that it read before swift-signal was killed: then it says that what has just ended runs.
#[test]
fn a_killed_actor_is_repaired() {
    kill_at_each(ACTORS);
}

/// In the short form with one command a point, each time another one. Panics with all that is wrong.
fn kill_at_each(cases: &[Case]) {
    let mut scene = Scene::new();
    let mut wrong = Vec::new();
    for (number, (point, before, lines)) in cases.iter().enumerate() {
        let of_init = |line: &str| line.contains("swift-init ");
        let lines: Vec<&str> = lines
            .iter()
            .copied()
            .filter(|line| of_init(line) || !point.starts_with("swift-init:"))
            .collect();
        let count = times(1, lines.len());
        for at in 0..count {
            let line = lines[(number + at) % lines.len()];
            let test = || {
                kill_at(&scene, point, *before, line);
                if count > 1 && line.starts_with("swift-init ") && !point.starts_with("swift-init:")
                {
                    kill_in_pipeline(&scene, point, *before, line);
                }
            };
            if catch_unwind(AssertUnwindSafe(test)).is_err() {
                wrong.push(format!("{point}: {before:?}: {line}"));
                scene = Scene::new();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn kill_at(scene: &Scene, point: &str, before: fixture::Before, line: &str) {
    let what = format!("{point}: {before:?}: {line}");
    scene.set(before);
    let had = scene.processes.servers();
    scene.points.kill_at(point);
    let outcome = run(&mut scene.command(line));
    assert!(!scene.points.is_left(point), "{what}: not met: {outcome}");
    scene.processes.until_no_tool_runs();
    if line.contains("swift-init ") {
        claims::are_true(scene, point, &had, &outcome, &what);
    }
    scene.aftermath(&what);
}

/// The same in the pipeline that swift-init stands for.
fn kill_in_pipeline(scene: &Scene, point: &str, before: fixture::Before, line: &str) {
    // That of no-daemon ends with its servers.
    if line.contains("no-daemon") {
        return;
    }
    let explained = run(&mut scene.command(&format!("{line} --explain")));
    let lines: Vec<String> = explained.out().lines().map(str::to_owned).collect();
    let (tool, _) = point.split_once(':').expect("a tool and a point");
    let what = format!("{point}: {before:?}: {lines:?}");
    scene.set(before);
    scene.points.kill_at(point);
    for line in &lines {
        run(&mut scene.command(line));
    }
    let met = !scene.points.is_left(point);
    assert!(
        met || lines.iter().all(|l| !l.contains(tool)),
        "{what}: not met"
    );
    scene.aftermath(&what);
}
