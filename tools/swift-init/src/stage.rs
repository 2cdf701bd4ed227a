//! One tool as a process: how it is called, started, and how it ended.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use swift_cli::program;
use swift_cli::service;
use swift_server::process::Process;
use swift_sys::error::reason_of;
use swift_sys::fd;
use swift_sys::pidfd::{self, Ended};
use swift_sys::signal::Signal;
use swift_sys::spawn::{Dispositions, Plan, spawn};

use crate::init;
use crate::options::TOOL;
use crate::plan::Call;

/// A tool that runs.
pub struct Stage {
    /// The tool.
    pub name: &'static str,
    process: Process,
    partial: bool,
}

/// The folder's file for a tool.
pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    program::sibling_program(name).ok_or_else(|| complain_of_missing(name))
}

/// Whether a path leads to the running program's neighbours at all: said once,
/// before anything else, instead of by each stage.
fn complain_of_missing(name: &str) -> anyhow::Error {
    let here = std::env::current_exe().unwrap_or_default();
    let folder = here.parent().unwrap_or(Path::new("")).display().to_string();
    anyhow::anyhow!(
        "{name} is neither in {folder} nor on PATH ({} needs it)",
        TOOL.name
    )
}

/// The tools that look and that signal. What asks a whole process group to end
/// must not keep a stop from being sent that was asked for just by that, so they
/// mind this program only.
const MIND_THEIR_PARENT_ONLY: [&str; 3] =
    ["swift-resolve-servers", "swift-pidfile", "swift-signal"];

/// Starts a tool that reads from `input`, or from nothing, and returns the end
/// to read its rows from. Ctrl-C at the terminal reaches every process there:
/// what it means is this program's to decide, so the tool ignores it, and goes
/// when this program is gone.
pub fn start(
    call: &Call,
    input: Option<OwnedFd>,
    extra: &[BorrowedFd],
) -> anyhow::Result<(Stage, OwnedFd)> {
    let program = find(call.name)?;
    let starting = || format!("cannot start {}", call.name);
    let (output, end) = fd::pipe().with_context(starting)?;
    let input = input.map_or_else(fd::null, Ok).with_context(starting)?;
    let stderr = io::stderr();
    let (ignore, parent_death): (&[Signal], _) = if MIND_THEIR_PARENT_ONLY.contains(&call.name) {
        let all = &[Signal::INT, Signal::QUIT, Signal::TERM, Signal::HUP];
        (all, Signal::KILL)
    } else {
        (&[Signal::INT, Signal::QUIT], Signal::TERM)
    };
    let mut args = vec![OsStr::new(call.name)];
    args.extend(call.args.iter().map(OsString::as_os_str));
    let stdio = [input.as_fd(), end.as_fd(), stderr.as_fd()];
    let plan = Plan {
        environment: service::environment(),
        extra: extra.to_vec(),
        signals: Dispositions::Inherited { ignore },
        parent_death: Some(parent_death),
        ..Plan::new(program.as_os_str(), args, stdio)
    };
    let mut tools = init::tools();
    let child = spawn(&plan).map_err(|e| anyhow::anyhow!("{}: {e}", starting()))?;
    tools.push(child.pid);
    Ok((
        Stage {
            name: call.name,
            process: Process::from_child(child),
            partial: call.partial,
        },
        output,
    ))
}

impl Stage {
    /// Asks the tool to begin nothing more. One that has ended needs no asking.
    pub fn halt(&self) -> io::Result<()> {
        self.process.signal(Signal::HUP).map(drop)
    }

    /// Waits for the tool's end. Whether it came to a proper one: it exits 1
    /// when a row says what failed, and everything else is told here.
    pub fn finish(self) -> bool {
        let ended = pidfd::wait(&self.process);
        // Its number is free by now, and may be an orphan's next.
        init::tools().retain(|pid| *pid != self.process.pid);
        let what = match ended {
            Ok(Ended::Exit(0 | 1)) => return true,
            Ok(Ended::Exit(3)) if self.partial => return true,
            Ok(Ended::Exit(status)) => format!("exited with {status}"),
            Ok(Ended::Signal(number)) => format!("was ended by signal {number}"),
            Err(e) => format!("cannot be waited for: {}", reason_of(&e)),
        };
        TOOL.say(&format!("{} {what}", self.name));
        false
    }
}
