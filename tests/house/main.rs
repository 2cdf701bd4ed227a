//! The house: a crate uses only crates on floors below its own, no files of a crate use each other in a
//! circle, and each promise of SECURITY.md has a test. Imports are read from the sources, as far as these
//! tests need to understand Rust.

mod imports;
mod promises;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The crates of the shared floors, from the ground up. Tools stand on top of them.
const FLOORS: [&str; 4] = ["swift_sys", "swift_cli", "swift_records", "swift_server"];

/// One crate: its name as imports have it, and its files by their module paths.
struct Crate {
    name: String,
    files: BTreeMap<String, PathBuf>,
}

fn crates() -> Vec<Crate> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    for floor in ["shared", "tools"] {
        for entry in std::fs::read_dir(root.join(floor)).expect("the floor is there") {
            let dir = entry.expect("the directory can be read").path();
            let src = dir.join("src");
            if !src.is_dir() {
                continue;
            }
            let name = dir.file_name().and_then(|name| name.to_str());
            let name = name.expect("names are UTF-8").replace('-', "_");
            let name = match floor {
                "shared" => format!("swift_{name}"),
                _ => name,
            };
            let files = imports::files(&src);
            all.push(Crate { name, files });
        }
    }
    assert!(all.len() > FLOORS.len(), "the crates are found");
    all
}

/// The height of a crate; tools are above all floors.
fn height(name: &str) -> usize {
    let at = FLOORS.iter().position(|floor| *floor == name);
    at.unwrap_or(FLOORS.len())
}

#[test]
fn no_arrow_runs_up() {
    let crates = crates();
    let names: Vec<&str> = crates.iter().map(|one| one.name.as_str()).collect();
    for floor in FLOORS {
        assert!(names.contains(&floor), "{floor} is one of {names:?}");
    }
    let mut arrows = 0;
    for one in &crates {
        for path in one.files.values() {
            let used = imports::crates_used(path, &names);
            for other in used.iter().filter(|other| **other != one.name) {
                arrows += 1;
                assert!(
                    height(other) < height(&one.name),
                    "{} uses {other}, which is not below it",
                    path.display()
                );
            }
        }
    }
    assert!(arrows > 0, "imports are found");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut arrows = 0;
    for one in crates() {
        let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (module, path) in &one.files {
            let used = imports::files_used(module, path, &one.files);
            arrows += used.len();
            uses.insert(module, used);
        }
        // What uses nothing that is left is taken away; what stays is in a circle or uses one.
        loop {
            let before = uses.len();
            let left: BTreeSet<String> = uses.keys().map(|name| name.to_string()).collect();
            uses.retain(|_, used| used.iter().any(|other| left.contains(other)));
            if uses.len() == before {
                break;
            }
        }
        assert!(uses.is_empty(), "a circle in {}: {uses:#?}", one.name);
    }
    assert!(arrows > 0, "imports are found");
}
