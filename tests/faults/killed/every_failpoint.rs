//! That no point is without a case.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{before_exec, cases, swift_init_killed};

/// Fails when a point is added to the source without a case here: seen with one more in swift-signal.
/// Fails as well when a name stands twice in one tool, since a case meets the first of them only: seen
/// with three such names in swift-reload.
#[test]
fn every_failpoint_in_the_source_has_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Vec::new();
    collect(&root.join("tools"), &mut sources);
    collect(&root.join("shared"), &mut sources);
    assert!(sources.len() > 50, "{root:?} has the sources");
    let met = met();
    let mut points = BTreeSet::new();
    let mut missing = Vec::new();
    let mut twice = Vec::new();
    for source in sources {
        let text = fs::read_to_string(&source).expect("a source can be read");
        let path = source.strip_prefix(&root).expect("it is beneath");
        // A manager's death is the matter of tests/serve/faults.rs.
        let tool = path.iter().nth(1).filter(|_| path.starts_with("tools"));
        let tool = tool.map(|tool| tool.to_string_lossy().into_owned());
        if tool.as_deref() == Some("swift-serve") {
            continue;
        }
        for point in points_in(&text) {
            if !points.insert((tool.clone(), point.to_owned())) {
                twice.push(format!("{}: {point}", path.display()));
            }
            let is_met = match &tool {
                Some(tool) => met.contains(&format!("{tool}:{point}")),
                None => met.iter().any(|met| met.ends_with(&format!(":{point}"))),
            };
            if !is_met {
                missing.push(format!("{}: {point}", path.display()));
            }
        }
    }
    assert!(points.len() > 30, "only {points:?} were found");
    assert!(missing.is_empty(), "no case comes by: {missing:#?}");
    assert!(twice.is_empty(), "not the only one: {twice:#?}");
}

/// Points at which no tool has to die, with the test that stops there and fails when nobody comes by:
/// a window that is full, a list of processes that is old, and a request to end.
const STOPPED_AT: [(&str, &str); 3] = [
    ("swift-spawn:full", include_str!("../scale.rs")),
    ("swift-spawn:listed", include_str!("../lost_after_start.rs")),
    ("swift-init:asked", include_str!("../container_init.rs")),
];

/// The points of all cases, each of which fails when its point is not met.
fn met() -> BTreeSet<String> {
    let killed = cases::OBSERVERS.iter().chain(cases::ACTORS);
    let mut met: BTreeSet<String> = killed.map(|(point, ..)| (*point).to_owned()).collect();
    met.extend(
        swift_init_killed::CASES
            .iter()
            .map(|(point, ..)| (*point).to_owned()),
    );
    for (point, test) in STOPPED_AT {
        assert!(test.contains(&format!("pause_at(\"{point}\")")), "{point}");
        met.insert(point.to_owned());
    }
    for (tool, points, ..) in before_exec::CASES {
        met.extend(points.iter().map(|point| format!("{tool}:{point}")));
    }
    met
}

fn points_in(text: &str) -> Vec<&str> {
    let calls = ["failpoint::at(\"", "points.at(\""];
    let after = calls.iter().flat_map(|call| text.split(call).skip(1));
    after
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect()
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}
