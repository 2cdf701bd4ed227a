//! The start of one server, under the run directory's lock from the look at
//! its pid file up to the successful exec.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use swift_cli::program::SearchPath;
use swift_records::catalogue::Server;
use swift_records::instance::{Instance, PidPath};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::locks::Locks;
use swift_server::pidfile::{self, Finding};
use swift_server::process::{self, Process};
use swift_server::rundir::RunDir;
use swift_sys::error::reason_of;
use swift_sys::failpoint;
use swift_sys::pidfd::{self, Ended};
use swift_sys::signal::Signal;
use swift_sys::spawn::{self, Child, PidFile, Plan, spawn};
use swift_sys::{beneath, fd};

use crate::failure::Failure;
use crate::options::{Options, Stdio};
use crate::{environment, executable};

/// A pid file's name while it is written. The lock is held meanwhile, so one
/// name does for all; it begins with a dot, since the original removes
/// everything that is named after a server.
const TEMPORARY: &std::ffi::CStr = c".swift-spawn.new";

/// What every start has in common.
pub struct Starter {
    path: SearchPath,
    environment: Vec<Vec<u8>>,
    once: bool,
    foreground: bool,
    null: OwnedFd,
    /// Standard input, output and error, where they are not a pipe's.
    stdio: Option<[OwnedFd; 3]>,
    /// The locks of run directories.
    pub locks: Locks,
}

/// What became of a row.
pub enum Outcome {
    /// It runs: its row, itself, and its output where that is a pipe.
    Started(Row, Process, Option<OwnedFd>),
    /// Somebody else has started it: its row.
    Found(Row),
    /// The pid file's process runs the program with another config: the row, and
    /// what is said of it.
    WrongConfig(Row, String),
    /// It does not run.
    Failed(Row, Failure),
}

impl Starter {
    /// Prepares for starting. The error names the option that makes no sense,
    /// or the device that cannot be opened.
    pub fn new(options: &Options) -> anyhow::Result<Starter> {
        let null = fd::null()?;
        let stdio = match options.stdio() {
            Stdio::Pipe => None,
            Stdio::Null => {
                let null = || fd::duplicate(&null);
                Some([null()?, null()?, null()?])
            }
            Stdio::Inherited {
                input,
                output,
                error,
            } => Some([
                input.map_or_else(|| Ok(fd::duplicate(&null)?), |n| inherited("--input-fd", n))?,
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
            locks: Locks::default(),
        })
    }

    /// Starts a row's server, unless it runs by now.
    pub fn start(&mut self, row: Row, server: &Server, pid_path: &PidPath) -> Outcome {
        match self.try_start(&row, server, pid_path) {
            Ok(outcome) => outcome,
            Err(failure) => {
                let row = Row {
                    pid: None,
                    start: None,
                    ..row
                };
                Outcome::Failed(row, failure)
            }
        }
    }

    fn try_start(
        &mut self,
        row: &Row,
        server: &Server,
        pid_path: &PidPath,
    ) -> Result<Outcome, Failure> {
        let program = self.program(server)?;
        let (output, end) = match self.stdio {
            Some(_) => (None, None),
            None => pipe().map(|(output, end)| (Some(output), Some(end)))?,
        };
        let row_path = row.pidfile.as_deref().unwrap_or(Path::new(""));
        let config = row.config.clone().unwrap_or_default();
        let instance = Instance {
            server,
            config: &config,
            pid_path,
        };
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
        let guard = self.locks.take(&run_dir);
        let guard = guard.map_err(|why| Failure::new(Reason::Lock, &why))?;
        failpoint::at("locked");
        if let Some(found) = look(row, &run_dir, &instance)? {
            return Ok(found);
        }
        failpoint::at("looked");
        let folder = pid_path.beneath.parent().unwrap_or(Path::new(""));
        let folder = beneath::create_dirs(&run_dir, folder).map_err(|e| cannot_write(&e))?;
        let name = pid_path.beneath.file_name().unwrap_or_default();
        let name = CString::new(name.as_bytes()).map_err(|e| cannot_write(&e.into()))?;
        let pid_file = PidFile {
            dir: folder.as_fd(),
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
            let failure = killed_unborn(&process);
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
        Ok(Outcome::Started(
            row.with_state(State::Started),
            process,
            output,
        ))
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
        failpoint::at("folder-made");
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

/// What a look at the pid file under the lock says against starting. An error
/// when that cannot be known.
fn look(row: &Row, run_dir: &RunDir, instance: &Instance) -> Result<Option<Outcome>, Failure> {
    let path = &instance.pid_path.beneath;
    let unreadable = |why: &str| {
        let shown = row.pidfile.as_deref().unwrap_or(path).display();
        Failure::new(Reason::Unreadable, why).saying(format!("cannot read {shown}: {why}"))
    };
    let look = pidfile::read(run_dir, path);
    let finding = pidfile::verify(&look, instance).map_err(|e| unreadable(&reason_of(&e)))?;
    let found = |pid, start| Row {
        pid: Some(pid),
        start,
        ..row.clone()
    };
    match finding {
        Finding::Stopped(..) => Ok(None),
        Finding::Unreadable(why) => Err(unreadable(&why)),
        Finding::Starting(pid) => {
            let row = found(pid, None).with_state(State::Starting);
            Ok(Some(Outcome::Found(row)))
        }
        Finding::WrongConfig { process, config } => {
            let start = process.start().map_err(|e| unreadable(&reason_of(&e)))?;
            let message = pidfile::wrong_config(row, process.pid, &config);
            let row = found(process.pid, start);
            let row = row.with(
                State::WrongConfig,
                Reason::Config,
                config.as_os_str().as_bytes(),
            );
            Ok(start.map(|_| Outcome::WrongConfig(row, message)))
        }
        Finding::Running { process, permitted } => {
            let start = process.start().map_err(|e| unreadable(&reason_of(&e)))?;
            // Without a start, it has ended after it was proven.
            if start.is_none() {
                return Ok(None);
            }
            let row = found(process.pid, start);
            Ok(Some(Outcome::Found(if permitted {
                row.with_state(State::Running)
            } else {
                row.with(State::Denied, Reason::Permission, b"")
            })))
        }
    }
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

/// Why a child has ended that never executed its program: somebody killed it,
/// or the kernel did when memory was short.
fn killed_unborn(process: &Process) -> Failure {
    match pidfd::wait(process) {
        Ok(Ended::Signal(number)) => {
            let signal = Signal::from_number(number.into());
            let name = signal.map_or_else(|| number.to_string(), |signal| signal.to_string());
            let message = format!("ended by {name} before its program was executed");
            Failure::new(Reason::Signal(number), "").saying(message)
        }
        Ok(Ended::Exit(status)) => Failure::new(Reason::Exit(status), ""),
        Err(e) => Failure::new(Reason::ExecFailed, &reason_of(&e)),
    }
}

/// A pipe whose end to read from never makes this process wait.
fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let (output, end) = fd::pipe()
        .and_then(|ends| fd::set_nonblocking(&ends.0).map(|()| ends))
        .map_err(|e| Failure::new(Reason::ExecFailed, &reason_of(&e)))?;
    Ok((output, end))
}

fn inherited(option: &str, number: i32) -> anyhow::Result<OwnedFd> {
    fd::inherited(number).map_err(|e| {
        let why = reason_of(&e);
        anyhow::anyhow!("option {option}: cannot use descriptor {number}: {why}")
    })
}
