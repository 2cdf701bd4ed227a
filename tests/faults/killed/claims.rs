//! What swift-init says when it, or one of its tools, was killed: the truth, and who it was.

use std::collections::BTreeMap;

use test_helpers::Outcome;

use super::fixture::Scene;
use crate::process_list::Instance;

/// The servers of a moment.
pub type Servers = BTreeMap<Instance, Vec<i32>>;

/// Compares what was said with what is, and with what was before.
pub fn are_true(scene: &Scene, point: &str, had: &Servers, outcome: &Outcome, what: &str) {
    let (tool, _) = point.split_once(':').expect("a tool and a point");
    let now = scene.processes.servers();
    if tool == "swift-init" {
        assert_eq!(outcome.code(), 128 + 9, "{what}: {outcome}");
    } else {
        assert_eq!(outcome.code(), 1, "{what}: {outcome}");
        names_it(tool, outcome, what);
    }
    if [
        "swift-resolve-servers",
        "swift-pidfile",
        "swift-check-config",
    ]
    .contains(&tool)
    {
        assert_eq!(outcome.out(), "", "{what}: {outcome}");
        assert_eq!(&now, had, "{what}: something was done: {outcome}");
    }
    of_lines_are_true(scene, had, outcome, what);
}

/// Whether each line on standard output is so, or was so before.
pub fn of_lines_are_true(scene: &Scene, had: &Servers, outcome: &Outcome, what: &str) {
    let now = scene.processes.servers();
    let runs = |pid: &str| now.values().flatten().any(|p| p.to_string() == pid);
    let ran = |pid: &str| had.values().flatten().any(|p| p.to_string() == pid);
    for line in outcome.out().lines() {
        if let Some(pid) = between(line, " (", ") appears to have stopped") {
            assert!(ran(pid) && !runs(pid), "{what}: {line}: {outcome}");
        }
        if let Some((server, rest)) = line.split_once(" running (") {
            let (pid, config) = rest.split_once(" - ").expect("a pid and a config");
            let instance = (server.to_owned(), config.trim_end_matches(')').to_owned());
            let is = now
                .get(&instance)
                .is_some_and(|pids| pids[0].to_string() == pid);
            assert!(is, "{what}: {line}: {now:?}: {outcome}");
        }
        if let Some(server) = between(line, "No ", " running") {
            // It may have been said at the beginning.
            let any = |servers: &Servers| servers.keys().any(|(name, _)| name == server);
            assert!(!any(had) || !any(&now), "{what}: {line}: {outcome}");
        }
    }
}

/// One line says which tool was killed, no other is blamed, and every line has its form.
pub fn names_it(tool: &str, outcome: &Outcome, what: &str) {
    let err = outcome.err();
    let wanted = format!("swift-init: {tool} was ended by signal 9");
    let named = err.lines().filter(|line| *line == wanted).count();
    assert_eq!(named, 1, "{what}: {outcome}");
    let others = err.lines().filter(|line| *line != wanted).filter(|line| {
        line.contains("was ended by") || line.contains("exited with") || !line.starts_with("swift-")
    });
    assert_eq!(others.count(), 0, "{what}: {outcome}");
}

fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let head = line.strip_suffix(after)?;
    Some(head.split_once(before)?.1)
}
