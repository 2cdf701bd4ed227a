//! Between clone and exec: the child killed, its parent killed while it stands there, and swift-init
//! killed above both.

use std::thread;

use test_helpers::{Outcome, run};

use super::claims;
use super::fixture::{
    Before::{self, *},
    SERVERS, Scene,
};
use crate::process_list::Seen;
use crate::soak::times;

/// Who is killed while the child of a tool stands at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The child itself.
    Child,
    /// The tool, whose child it is.
    Tool,
    /// swift-init, which is the tool's parent.
    Init,
}
use Victim::{Child, Init, Tool};

/// A tool, the points of its child, what is there before, and a command.
type Case = (&'static str, &'static [&'static str], Before, &'static str);

/// The points of a child that has no pid file.
const PLAIN: &[&str] = &["child-begun", "child-ready"];

/// The points of a server.
const TRACKED: &[&str] = &[
    "child-begun",
    "child-numbered",
    "child-tracked",
    "child-ready",
];

pub const CASES: &[Case] = &[
    ("swift-spawn", TRACKED, Down, "swift-init ALL start"),
    ("swift-spawn", TRACKED, Half, "swift-init ALL restart"),
    ("swift-spawn", TRACKED, Half, "swift-init ALL no-wait"),
    ("swift-spawn", TRACKED, Half, "swift-init ALL no-daemon"),
    ("swift-spawn", TRACKED, Down, "swift-init ALL once"),
    ("swift-spawn", TRACKED, Up, "swift-init ALL reload-seamless"),
    ("swift-check-config", PLAIN, Up, "swift-init ALL restart"),
    ("swift-check-config", PLAIN, Half, "swift-init ALL reload"),
    ("swift-reload", PLAIN, Up, "swift-init ALL reload-seamless"),
    ("swift-init", PLAIN, Half, "swift-init ALL start"),
    ("swift-init", PLAIN, Half, "swift-init ALL stop"),
    ("swift-init", PLAIN, Half, "swift-init ALL status"),
];

/// Fails when the pid file is written by the parent after the exec instead of by the child before it:
/// then the points of the child are not met. Fails as well when a child that was killed before its exec
/// counts as started: then no-wait exits 0 for a server that was never there.
#[test]
fn a_child_that_is_killed_or_orphaned_before_its_exec_is_repaired() {
    let scene = Scene::new();
    for (number, (tool, points, before, line)) in CASES.iter().enumerate() {
        for (at, point) in points.iter().enumerate() {
            let victims: &[Victim] = match *tool {
                "swift-init" => &[Child, Init],
                // The other servers run on, and so does the command.
                _ if line.ends_with("no-daemon") => &[Tool, Init],
                _ => &[Child, Tool, Init],
            };
            for count in 0..times(1, victims.len()) {
                let victim = victims[(number + at + count) % victims.len()];
                kill_beside(&scene, (tool, point, *before, line), victim);
            }
        }
    }
}

fn kill_beside(scene: &Scene, case: (&str, &str, Before, &str), victim: Victim) {
    let (tool, point, before, line) = case;
    let what = format!("{tool}:{point}: {before:?}: {victim:?} killed: {line}");
    scene.set(before);
    let had = scene.processes.servers();
    let outcome = thread::scope(|scope| {
        let pause = scene.points.pause_at(&format!("{tool}:{point}"));
        let command = scope.spawn(|| run(&mut scene.command(line)));
        let child = scene.processes.of(pause.reached());
        scene.processes.kill(&victim_of(scene, &child, victim));
        // Where there is something to clean, they would wait for the lock, which the child holds.
        if victim == Tool && tool == "swift-spawn" && before == Down {
            neighbours_see_it(scene, &child, &what);
        }
        // There is no point for those that come later.
        drop(pause);
        command.join().expect("it ends in time")
    });
    scene.processes.until_no_tool_runs();
    told_truth(scene, tool, victim, &had, &outcome, &what);
    scene.aftermath(&what);
}

fn victim_of(scene: &Scene, child: &Seen, victim: Victim) -> Seen {
    let parent_of = |seen: &Seen| {
        let all = scene.processes.all();
        let parent = all.into_iter().find(|other| other.pid == seen.parent);
        parent.expect("it has a parent in the namespace")
    };
    match victim {
        Child => child.clone(),
        Tool => parent_of(child),
        Init => {
            let parent = parent_of(child);
            if parent.name() == "swift-init" {
                parent
            } else {
                parent_of(&parent)
            }
        }
    }
}

/// While a child stands there without its parent, nobody takes it for stopped: a status does not remove
/// its pid file, and says that it is there once it has one.
fn neighbours_see_it(scene: &Scene, child: &Seen, what: &str) {
    let has_file = |pid: &str| scene.processes.pid_files().values().any(|text| text == pid);
    let tracked = has_file(&child.pid.to_string());
    let status = run(&mut scene.command(&format!("swift-init {} status", SERVERS.join(" "))));
    let told = status
        .out()
        .contains(&format!(" running ({} - ", child.pid));
    assert_eq!(told, tracked, "{what}: {status}");
    assert_eq!(
        has_file(&child.pid.to_string()),
        tracked,
        "{what}: {status}"
    );
}

fn told_truth(
    scene: &Scene,
    tool: &str,
    victim: Victim,
    had: &claims::Servers,
    outcome: &Outcome,
    what: &str,
) {
    match victim {
        Init => assert_eq!(outcome.code(), 128 + 9, "{what}: {outcome}"),
        Tool => {
            assert_eq!(outcome.code(), 1, "{what}: {outcome}");
            claims::names_it(tool, outcome, what);
        }
        // The child of swift-init was to become a tool, the others' a server.
        Child if tool == "swift-init" => {
            assert_eq!(outcome.code(), 1, "{what}: {outcome}");
            claims::names_it("swift-resolve-servers", outcome, what);
        }
        Child => {
            assert_eq!(outcome.code(), 1, "{what}: {outcome}");
            let named = outcome.err().matches("signal 9").count();
            assert_eq!(named, 1, "{what}: {outcome}");
        }
    }
    claims::of_lines_are_true(scene, had, outcome, what);
}
