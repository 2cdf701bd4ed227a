//! One tool as a process: its program, its start and its end.

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

use crate::options::TOOL;
use crate::plan::ToolCommand;
use crate::reaper;

/// A tool that runs.
pub struct Tool {
    /// The tool.
    pub name: &'static str,
    process: Process,
    partial: bool,
}

/// The program of a tool: beside this one, or on PATH.
pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    program::sibling_program(name).with_context(|| {
        let own = std::env::current_exe().unwrap_or_default();
        let directory = own.parent().unwrap_or(Path::new("")).display();
        let needed_by = TOOL.name;
        format!("{name} is neither in {directory} nor on PATH ({needed_by} needs it)")
    })
}

/// The tools that observe and signal. A signal to the whole process group asks this program to stop
/// servers, for which it needs these tools: they end with this program only.
const END_WITH_PARENT_ONLY: [&str; 3] = ["swift-resolve-servers", "swift-pidfile", "swift-signal"];

/// Starts a tool that reads from `input`, or from nothing, and returns the end to read its rows from.
/// Ctrl-C at the terminal reaches every process there, and this program decides what it means: the tool
/// ignores it, and ends when this program is gone. `extra` are its descriptors from 3 on.
pub fn start(
    command: &ToolCommand,
    input: Option<OwnedFd>,
    extra: &[BorrowedFd],
) -> anyhow::Result<(Tool, OwnedFd)> {
    let program = find(command.name)?;
    let starting = || format!("cannot start {}", command.name);
    let (output, end) = fd::pipe().with_context(starting)?;
    let input = input.map_or_else(fd::null, Ok).with_context(starting)?;
    let stderr = io::stderr();
    let all = [Signal::INT, Signal::QUIT, Signal::TERM, Signal::HUP];
    let (ignore, parent_death) = match END_WITH_PARENT_ONLY.contains(&command.name) {
        true => (&all[..], Signal::KILL),
        false => (&all[..2], Signal::TERM),
    };
    let mut args = vec![OsStr::new(command.name)];
    args.extend(command.args.iter().map(OsString::as_os_str));
    let stdio = [input.as_fd(), end.as_fd(), stderr.as_fd()];
    let plan = Plan {
        environment: service::environment(),
        extra: extra.to_vec(),
        signals: Dispositions::Inherited { ignore },
        parent_death: Some(parent_death),
        ..Plan::new(program.as_os_str(), args, stdio)
    };
    let mut tools = reaper::tools();
    let child = spawn(&plan).map_err(|e| anyhow::anyhow!("{}: {e}", starting()))?;
    tools.push(child.pid);
    Ok((
        Tool {
            name: command.name,
            process: Process::from_child(child),
            partial: command.partial,
        },
        output,
    ))
}

impl Tool {
    /// Asks the tool to begin nothing more. One that has ended needs no asking.
    pub fn halt(&self) -> io::Result<()> {
        self.process.signal(Signal::HUP).map(drop)
    }

    /// Waits for the tool's end. The error says how it ended improperly: exit status 1 is proper, since a
    /// row says what failed.
    pub fn finish(self) -> Result<(), String> {
        let ended = pidfd::wait(&self.process);
        // Its pid is free by now, and may be an orphan's next.
        reaper::tools().retain(|pid| *pid != self.process.pid);
        let what = match ended {
            Ok(Ended::Exit(0 | 1)) => return Ok(()),
            Ok(Ended::Exit(3)) if self.partial => return Ok(()),
            Ok(Ended::Exit(status)) => format!("exited with {status}"),
            Ok(Ended::Signal(number)) => format!("was ended by signal {number}"),
            Err(e) => format!("cannot be waited for: {}", reason_of(&e)),
        };
        Err(format!("{} {what}", self.name))
    }
}
