//! Plays a scenario on one side.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use test_helpers::{LIMIT, SERVERS, Sandbox, lab, run_with, tools_dir};

use crate::normal::Normal;
use crate::scenario::Scenario;

/// Functions for the lines of shell.
const PRELUDE: &str = include_str!("prelude.sh");

/// Whose swift-init it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Swift's own.
    Original,
    /// The one under test.
    Ours,
}

impl Side {
    /// Where its swift-init lies.
    pub fn program(self) -> PathBuf {
        let dir = match self {
            Side::Ours => tools_dir().to_owned(),
            Side::Original => lab::venv(lab::NEWEST).join("bin"),
        };
        let program = dir.join("swift-init");
        assert!(program.exists(), "{} is not there", program.display());
        program
    }
}

/// What a compared step gave.
#[derive(Debug)]
pub struct Given {
    /// Its output, exit status and the run directory, all made comparable.
    pub seen: String,
    /// Its standard error, which is not compared.
    pub stderr: String,
}

/// Plays all steps and gives what the compared ones gave.
/// An error when a step that both sides need failed.
pub fn play(scenario: &Scenario, side: Side) -> Result<Vec<Given>, String> {
    let sandbox = stage(scenario, side);
    // Without the tools under test, so that nothing falls back to ours on the original's side. Ours
    // finds its neighbours beside itself.
    let path = format!(
        "{}:/usr/sbin:/usr/bin:/sbin:/bin",
        sandbox.path("bin").display()
    );
    let mut normal = Normal::new(sandbox.run_dir(), scenario.title.starts_with("limits"));
    let mut given = Vec::new();
    for step in &scenario.steps {
        let mut command = sandbox.command("sh");
        command.env("PATH", &path);
        // Without this the original keeps its own lines back until its servers have ended.
        command.env("PYTHONUNBUFFERED", "1");
        // And this spares it a third of its start, which is for servers that resolve names.
        command.env("EVENTLET_NO_GREENDNS", "yes");
        let line = format!(". \"$HOME/prelude.sh\"; {}", step.line);
        command.args(["-c", &line]);
        let outcome = run_with(&mut command, b"", LIMIT);
        if step.compared {
            given.push(Given {
                seen: normal.result(&outcome),
                stderr: outcome.err(),
            });
        } else {
            if outcome.code() != 0 {
                return Err(format!("{side:?}: ! {}\n{outcome}", step.line));
            }
            normal.look();
        }
    }
    Ok(given)
}

/// A sandbox with everything in place.
fn stage(scenario: &Scenario, side: Side) -> Sandbox {
    let sandbox = Sandbox::in_namespace();
    let named: Vec<&str> = scenario.install.iter().map(String::as_str).collect();
    let installed = if named.is_empty() {
        &SERVERS[..]
    } else {
        &named[..]
    };
    let is_script = |name: &str| scenario.scripts.iter().any(|script| script == name);
    let links: Vec<&str> = installed
        .iter()
        .copied()
        .filter(|name| !is_script(name))
        .collect();
    sandbox.install(&links);
    for name in &scenario.scripts {
        sandbox.install_script(name);
    }
    for (name, settings) in &scenario.confs {
        sandbox.conf(name, settings);
    }
    fs::write(sandbox.path("prelude.sh"), PRELUDE).expect("the sandbox can be written");
    for (program, name) in [
        (side.program(), "swift-init"),
        (tools_dir().join("signal-when"), "signal-when"),
    ] {
        symlink(program, sandbox.path("bin").join(name)).expect("a link can be made");
    }
    sandbox
}
