//! swift-init killed while one of its tools stands at a step: what was begun is brought to its end, and
//! nothing more is begun.

use std::thread;

use test_helpers::run;

use super::fixture::{
    Before::{self, *},
    Scene,
};
use crate::soak::times;

/// A point of a tool, what is there before, a command, and how many instances it may have acted on.
type Case = (&'static str, Before, &'static str, usize);

pub const CASES: &[Case] = &[
    ("swift-signal:process-opened", Up, "swift-init ALL stop", 0),
    ("swift-signal:proven", Up, "swift-init ALL kill", 0),
    ("swift-signal:signalled", Up, "swift-init ALL restart", 1),
    ("swift-signal:ended", Up, "swift-init ALL stop", 4),
    ("swift-spawn:found", Down, "swift-init ALL start", 1),
    ("swift-spawn:looked", Down, "swift-init ALL no-wait", 1),
    ("swift-spawn:executed", Down, "swift-init ALL no-daemon", 1),
    ("swift-spawn:unlocked", Down, "swift-init ALL restart", 1),
    (
        "swift-reload:proven",
        Up,
        "swift-init ALL reload-seamless",
        4,
    ),
    ("swift-pidfile:examined", Up, "swift-init ALL stop", 0),
    (
        "swift-pidfile:stale-removed",
        Half,
        "swift-init ALL start",
        0,
    ),
    (
        "swift-resolve-servers:scanned",
        Half,
        "swift-init ALL start",
        0,
    ),
    (
        "swift-check-config:checked",
        Up,
        "swift-init ALL restart",
        0,
    ),
];

/// Fails when tools do not get PR_SET_PDEATHSIG: then swift-signal ends all four servers for nobody, and
/// the swift-spawn of no-daemon stays.
#[test]
fn a_pipeline_without_swift_init_begins_nothing() {
    let scene = Scene::new();
    for _ in 0..times(1, 20) {
        for (point, before, line, most) in CASES {
            leave(&scene, point, *before, line, *most);
        }
    }
}

fn leave(scene: &Scene, point: &str, before: Before, line: &str, most: usize) {
    let what = format!("{point}: {before:?}: swift-init killed: {line}");
    scene.set(before);
    let had = scene.processes.servers();
    let outcome = thread::scope(|scope| {
        let pause = scene.points.pause_at(point);
        let command = scope.spawn(|| run(&mut scene.command(line)));
        let tool = scene.processes.of(pause.reached());
        scene.processes.kill(&scene.processes.of(tool.parent));
        drop(pause);
        command.join().expect("it ends in time")
    });
    assert_eq!(outcome.code(), 128 + 9, "{what}: {outcome}");
    scene.processes.until_no_tool_runs();
    scene.processes.until_at_rest();
    let now = scene.processes.servers();
    let gone = had
        .iter()
        .filter(|(one, pids)| now.get(*one) != Some(*pids))
        .count();
    let come = now
        .iter()
        .filter(|(one, pids)| had.get(*one) != Some(*pids))
        .count();
    assert!(gone <= most && come <= most, "{what}: {had:?}: {now:?}");
    scene.aftermath(&what);
}
