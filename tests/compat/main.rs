//! Side by side: Swift's own swift-init and ours do the same things in the same places, and what a
//! script can see of them is compared: standard output, exit status, the run directory.
//!
//! The scenarios are text, in `scenarios/`; `scenario.rs` says how they are written. Each is played
//! twice, each time in fresh namespaces. To see what the original does in those whose title or file
//! name contains some text, and compare nothing:
//!
//!     COMPAT_SHOW=original COMPAT_ONLY=text cargo test --test compat -- --nocapture
//!
//! SWIFT_VENV names the virtual environment in which swift 2.38.3 is installed; `make test` makes one.
#![forbid(unsafe_code)]

mod caller;
mod help;
mod normal;
mod play;
mod scenario;

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use play::{Side, play};
use scenario::Scenario;

/// One test for each file of scenarios.
macro_rules! files {
    ($($name:ident),* $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { compare(stringify!($name)); })*
    };
}

files! {
    arguments, configs, kill, limits, many, no_daemon, once, reload, restart, run_directory,
    seamless, start, status, stop,
}

#[test]
fn every_file_of_scenarios_has_a_test() {
    let entries = std::fs::read_dir(directory()).expect("the scenarios are there");
    let there: BTreeSet<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(there, FILES.iter().map(|&name| name.to_owned()).collect());
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat/scenarios")
}

/// Plays every scenario of a file, two at a time, and panics with all that differs.
fn compare(file: &str) {
    let path = directory().join(file).with_extension("txt");
    let text = std::fs::read_to_string(&path).expect("a file of scenarios can be read");
    let only = std::env::var("COMPAT_ONLY").unwrap_or_default();
    let scenarios: Vec<Scenario> = scenario::parse(file, &text)
        .into_iter()
        .filter(playable)
        .filter(|scenario| file.contains(&only) || scenario.title.contains(&only))
        .collect();
    let show = std::env::var("COMPAT_SHOW").ok();
    let differences: Vec<String> = thread::scope(|scope| {
        let halves = [0, 1].map(|half| scenarios.iter().skip(half).step_by(2));
        let threads = halves.map(|half| {
            let show = show.as_deref();
            scope.spawn(move || half.filter_map(|one| look(one, show)).collect::<Vec<_>>())
        });
        threads
            .into_iter()
            .flat_map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Whether the scenario can be played by this user. Says so when it cannot.
fn playable(scenario: &Scenario) -> bool {
    let playable = !scenario.root
        || Path::new("/proc/self")
            .metadata()
            .is_ok_and(|own| own.uid() == 0);
    if !playable {
        let told = writeln!(
            std::io::stderr(),
            "not played, needs root: {}",
            scenario.title
        );
        told.expect("standard error is open");
    }
    playable
}

/// Plays a scenario on both sides, or shows one of them. Gives what differs.
fn look(scenario: &Scenario, show: Option<&str>) -> Option<String> {
    let told = if let Some(side) = show {
        let side = if side == "ours" {
            Side::Ours
        } else {
            Side::Original
        };
        play(scenario, side).map(|given| Some(scenario.transcript(&given)))
    } else {
        thread::scope(|scope| {
            let original = scope.spawn(|| play(scenario, Side::Original));
            let ours = play(scenario, Side::Ours);
            let original = original
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(scenario.differences(&original?, &ours?))
        })
    };
    told.unwrap_or_else(|failed| Some(format!("= {}\n{failed}", scenario.title)))
}
