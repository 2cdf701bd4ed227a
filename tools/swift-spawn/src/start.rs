//! The start of one server, under the run directory's lock from the look at
//! its pid file up to the successful exec.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use swift_cli::program::SearchPath;
use swift_records::catalogue::Server;
use swift_records::instance::{Instance, RowInstance};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::outcome::Outcome;
use swift_server::pidfile::{self, Finding};
use swift_server::process::{self, Process};
use swift_server::rundir::{Locks, RunDir};
use swift_sys::error::reason_of;
use swift_sys::failpoint;
use swift_sys::pidfd::{self, Ended};
use swift_sys::spawn::{self, Child, PidFile, Plan, spawn};
use swift_sys::{beneath, fd};

use crate::failure::{self, Failure};
use crate::options::{Options, Stdio};
use crate::{environment, executable};

/// A pid file's name while it is written. The lock is held meanwhile, so one
/// name does for all; it begins with a dot, since the original removes
/// everything that is named after a server.
const TEMPORARY: &std::ffi::CStr = c".swift-spawn.new";

/// The things that all starts have in common.
pub struct Starter {
    path: SearchPath,
    environment: Vec<Vec<u8>>,
    once: bool,
    foreground: bool,
    null: OwnedFd,
    /// Standard input, output and error, where they are not a pipe's.
    stdio: Option<[OwnedFd; 3]>,
}

/// A row that was acted on.
pub enum Start {
    /// Its server was started: the row, the process, and its output where that is a pipe.
    Done(Row, Process, Option<OwnedFd>),
    /// Its server was not started.
    NotDone(Outcome),
}

impl Starter {
    /// Prepares for starting. The error names the option that makes no sense,
    /// or the device that cannot be opened.
    pub fn new(options: &Options) -> anyhow::Result<Starter> {
        let null = fd::null()?;
        let stdio = match options.stdio() {
            Stdio::Pipe => None,
            Stdio::Null => Some([fd::null()?, fd::null()?, fd::null()?]),
            Stdio::Inherited {
                input,
                output,
                error,
            } => Some([
                input.map_or_else(|| Ok(fd::null()?), |n| inherited("--input-fd", n))?,
                inherited("--output-fd", output)?,
                inherited("--error-fd", error)?,
            ]),
        };
        Ok(Starter {
            path: SearchPath::from_env(),
            environment: environment::common(),
            once: options.once,
            foreground: options.foreground,
            null,
            stdio,
        })
    }

    /// Starts a row's server, unless it runs by now.
    pub fn start(&self, target: &RowInstance, locks: &Locks) -> Start {
        self.try_start(target, locks).unwrap_or_else(|failure| {
            let row = target.row.clone();
            let (pid, start) = (None, None);
            Start::NotDone(failure.of(Row { pid, start, ..row }))
        })
    }

    fn try_start(&self, target: &RowInstance, locks: &Locks) -> Result<Start, Failure> {
        let program = self.program(&target.server)?;
        let (output, end) = match self.stdio {
            Some(_) => (None, None),
            None => pipe().map(|(output, end)| (Some(output), Some(end)))?,
        };
        let RowInstance { row, pid_path, .. } = target;
        let row_path = row.pidfile.as_deref().unwrap_or(Path::new(""));
        let instance = target.instance();
        let cannot_write =
            |e: &io::Error| Failure::of_path(Reason::PidFile, "cannot write", row_path, e);

        let run_dir = RunDir::create(&pid_path.run_dir).map_err(|e| {
            let what = format!(
                "cannot make {}: {}",
                pid_path.run_dir.display(),
                reason_of(&e)
            );
            Failure::new(Reason::PidFile, &what)
        })?;
        failpoint::at("found");
        let guard = locks.take(&run_dir);
        let guard = guard.map_err(|why| Failure::new(Reason::Lock, &why))?;
        failpoint::at("locked");
        if let Some(found) = inspect(row, &run_dir, &instance)? {
            return Ok(Start::NotDone(found));
        }
        failpoint::at("looked");
        let directory = pid_path.beneath.parent().unwrap_or(Path::new(""));
        let directory = beneath::create_dirs(&run_dir, directory).map_err(|e| cannot_write(&e))?;
        let name = pid_path.beneath.file_name().unwrap_or_default();
        let name = CString::new(name.as_bytes()).map_err(|e| cannot_write(&e.into()))?;
        let pid_file = PidFile {
            dir: directory.as_fd(),
            temporary: TEMPORARY,
            name: &name,
        };
        let child = match self.execute(&program, &instance, end, pid_file) {
            Ok(child) => child,
            Err(spawn::Failure::PidFile(e)) => return Err(cannot_write(&e)),
            Err(failure) => {
                // The child may have written it and is gone. What cannot be removed is stale, and
                // every command knows how to clean that.
                failpoint::at("not-executed");
                let _ = pidfile::remove_if_stale(&run_dir, &instance, None);
                return Err(not_executed(&program, &failure));
            }
        };
        failpoint::at("executed");
        let process = Process::from_child(child);
        // A child that was not waited for keeps its number, so this is its own.
        let stat = process::stat(process.pid).ok().flatten();
        if stat.is_some_and(|stat| stat.pre_exec && stat.is_ending()) {
            let failure = killed_before_exec(&process);
            let _ = pidfile::remove_if_stale(&run_dir, &instance, None);
            return Err(failure);
        }
        drop(guard);
        failpoint::at("unlocked");
        let row = Row {
            pid: Some(process.pid),
            start: stat.map(|stat| stat.start),
            ..row.clone()
        };
        Ok(Start::Done(row.with_state(State::Started), process, output))
    }

    /// Executes the server with these. Its output goes to the pipe's end where there is one.
    fn execute(
        &self,
        program: &Path,
        instance: &Instance,
        end: Option<OwnedFd>,
        pid_file: PidFile,
    ) -> Result<Child, spawn::Failure> {
        let args = self.args(instance.server, instance.config.as_os_str());
        let stdio = match (&self.stdio, &end) {
            (Some(stdio), _) => [&stdio[0], &stdio[1], &stdio[2]].map(AsFd::as_fd),
            (None, Some(end)) => [self.null.as_fd(), end.as_fd(), end.as_fd()],
            (None, None) => unreachable!("without descriptors there is a pipe"),
        };
        let plan = Plan {
            environment: Some(environment::of(&self.environment, instance)),
            own_session: !self.foreground,
            pid_file: Some(pid_file),
            ..Plan::new(program.as_os_str(), &args, stdio)
        };
        failpoint::at("directory-made");
        spawn(&plan)
    }

    fn program(&self, server: &Server) -> Result<PathBuf, Failure> {
        let missing = || {
            let why = format!("{} is not on PATH", server.command);
            Failure::new(Reason::ExecMissing, &why)
        };
        self.path.find(&server.command).ok_or_else(missing)
    }

    /// The server's arguments, as spawn in manager.py has them.
    fn args(&self, server: &Server, config: &OsStr) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![(&*server.command).into(), config.to_owned()];
        if self.once && server.once {
            args.push("once".into());
        }
        if self.foreground {
            args.push("verbose".into());
        }
        args
    }
}

/// The outcome of a row whose pid file, inspected under the lock, speaks against a start. An error
/// when that cannot be known.
fn inspect(row: &Row, run_dir: &RunDir, instance: &Instance) -> Result<Option<Outcome>, Failure> {
    let path = &instance.pid_path.beneath;
    let unreadable = |why: &str| {
        let shown = row.pidfile.as_deref().unwrap_or(path).display();
        Failure::new(Reason::Unreadable, why).saying(format!("cannot read {shown}: {why}"))
    };
    let look = pidfile::read(run_dir, path);
    let verified = pidfile::verify(&look, instance).and_then(Finding::with_start);
    let (finding, start) = verified.map_err(|e| unreadable(&reason_of(&e)))?;
    match &finding {
        Finding::Stopped(..) => return Ok(None),
        Finding::Unreadable(why) => return Err(unreadable(why)),
        _ => {}
    }
    let Outcome { row, failure } = Outcome::of(row.clone(), finding, start, None);
    let failure = failure.map(|what| format!("cannot start beside {what}"));
    Ok(Some(Outcome { row, failure }))
}

/// The failure of a server that could not be forked or executed.
fn not_executed(program: &Path, failure: &spawn::Failure) -> Failure {
    match failure {
        spawn::Failure::Fork(e) | spawn::Failure::PidFile(e) => {
            Failure::new(Reason::ExecFailed, &reason_of(e))
        }
        spawn::Failure::Exec(e) => {
            let why = executable::explain(program, e);
            let reason = match e.kind() {
                io::ErrorKind::NotFound => Reason::ExecMissing,
                _ => Reason::ExecFailed,
            };
            Failure::new(reason, &why)
        }
    }
}

/// The failure of a child that ended before it executed its program: a person killed it,
/// or the kernel did when memory was short.
fn killed_before_exec(process: &Process) -> Failure {
    match pidfd::wait(process) {
        Ok(Ended::Signal(number)) => {
            let name = failure::signal_name(number);
            let message = format!("ended by {name} before its program was executed");
            Failure::new(Reason::Signal(number), "").saying(message)
        }
        Ok(Ended::Exit(status)) => Failure::new(Reason::Exit(status), ""),
        Err(e) => Failure::new(Reason::ExecFailed, &reason_of(&e)),
    }
}

/// A pipe whose end to read from never makes this process wait.
fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    fd::pipe()
        .and_then(|ends| fd::set_nonblocking(&ends.0).map(|()| ends))
        .map_err(|e| Failure::new(Reason::ExecFailed, &reason_of(&e)))
}

fn inherited(option: &str, number: i32) -> anyhow::Result<OwnedFd> {
    fd::inherited(number).map_err(|e| {
        let why = reason_of(&e);
        anyhow::anyhow!("option {option}: cannot use descriptor {number}: {why}")
    })
}
