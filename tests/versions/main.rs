//! The tools on several releases of Swift, each in a virtual environment of its own.
//!
//! Those that `make test` does not make an environment for are ignored in it; `make test-versions` plays
//! all and prints a table (`tests/versions/run`). A module is a release, and the first word of a test's
//! name is the column of the table in which it counts:
//!
//!     tests/lab/setup-venv 2.33
//!     cargo test --test versions r2_33 -- --include-ignored
#![forbid(unsafe_code)]

mod broken;
mod commands;
mod seamless;
mod upgrade;

use std::time::{Duration, Instant};

use test_helpers::lab::{self, Lab};

/// How long a process may take to leave that has nothing more to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// The four main servers.
const MAIN: [&str; 4] = [
    "account-server",
    "container-server",
    "object-server",
    "proxy-server",
];

/// The main servers and one daemon of each type, as they are named on a command line.
const SOME: &str = "main account-reaper container-updater object-auditor";

/// All that [`SOME`] stands for.
const ALL_OF_SOME: [&str; 7] = [
    "account-reaper",
    "account-server",
    "container-server",
    "container-updater",
    "object-auditor",
    "object-server",
    "proxy-server",
];

/// A release of Swift.
struct Release {
    name: &'static str,
    /// Whether its servers know SIGUSR1, which 2.24 brought.
    knows_seamless: bool,
}

impl Release {
    /// A laboratory on this release.
    fn lab(&self) -> Lab {
        Lab::on(&lab::venv(self.name))
    }
}

/// That no process is left. Workers may outlive the server that was awaited: those of a graceful
/// shutdown finish what they have.
fn assert_no_process(lab: &Lab) {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = lab.processes();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "still running: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// That neither a process is left, nor a pid file that says there is one.
fn assert_nothing_left(lab: &Lab) {
    assert_no_process(lab);
    let run = lab.dir().join("run");
    let files = std::fs::read_dir(run).expect("the run directory can be listed");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let left: Vec<String> = names.filter(|name| name.ends_with(".pid")).collect();
    assert!(left.is_empty(), "pid files are left: {left:?}");
}

/// All tests of one release.
macro_rules! release {
    ($module:ident, $release:expr $(, $ignore:meta)?) => {
        mod $module {
            use crate::{Release, broken, commands, seamless};

            const RELEASE: Release = $release;

            release!(
                [$($ignore)?]
                commands_of_swift_init = commands::swift_init,
                commands_of_pipelines = commands::pipelines,
                commands_that_stay = commands::that_stay,
                broken_config_is_refused = broken::is_refused,
                seamless_reload = seamless::reload,
            );
        }
    };
    ([$ignore:meta] $($name:ident = $play:path,)*) => {
        $(#[test] #[$ignore] fn $name() { $play(&RELEASE); })*
    };
    ([] $($name:ident = $play:path,)*) => {
        $(#[test] fn $name() { $play(&RELEASE); })*
    };
}

release!(
    r2_23,
    Release {
        name: "2.23",
        knows_seamless: false,
    },
    ignore = "`make test-versions` plays it"
);
release!(
    r2_30,
    Release {
        name: "2.30",
        knows_seamless: true,
    }
);
release!(
    r2_33,
    Release {
        name: "2.33",
        knows_seamless: true,
    },
    ignore = "`make test-versions` plays it"
);
release!(
    r2_35,
    Release {
        name: "2.35",
        knows_seamless: true,
    },
    ignore = "`make test-versions` plays it"
);
release!(
    r2_38,
    Release {
        name: "2.38",
        knows_seamless: true,
    },
    ignore = "tests/real plays it, and `make test-versions` this"
);
