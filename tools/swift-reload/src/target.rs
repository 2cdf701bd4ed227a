//! The process that is to be reloaded, proven to be a server itself and none
//! of its workers, which carry the same command line.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use swift_cli::program::SearchPath;
use swift_records::catalogue::{Catalogue, Server};
use swift_records::instance::RowInstance;
use swift_records::reason::Reason;
use swift_server::check::{Command, ConfigCheck, TEST_CONFIG, Verdict, swift_config};
use swift_server::pidfile::{self, Finding};
use swift_server::preflight::{Preflight, Runner};
use swift_server::process::{
    self, CommandLine, Effect, PROC_MAX, Pid, Process, command_line, effect, stat,
};
use swift_server::user;
use swift_sys::failpoint;
use swift_sys::signal::Signal;
use swift_sys::spawn::User;

use crate::environment;
use crate::failure::Failure;
use crate::served;

impl From<Mismatch> for Failure {
    fn from(mismatch: Mismatch) -> Failure {
        let unsupported = |text: String| Failure::new(Reason::Unsupported, text);
        match mismatch {
            Mismatch::Gone | Mismatch::Foreign(_) => Failure::new(Reason::Vanished, ""),
            Mismatch::Unable(program) => unsupported(format!("{program} knows no seamless reload")),
            Mismatch::Worker(_, manager) => unsupported(format!("it is a worker of {manager}")),
            Mismatch::Unknown(error) => Failure::unknown(&error),
        }
    }
}

/// A proven process.
#[derive(Debug)]
pub struct Target {
    /// The process.
    pub process: Process,
    /// Its server.
    pub server: Server,
    /// The signal that reloads it.
    pub signal: Signal,
    line: CommandLine,
    start: u64,
    user: User,
    /// Where it is, if that may be seen: that of another user's process is not
    /// for everybody.
    directory: Option<OwnedFd>,
    /// The environment of its check, when that runs as another user.
    environment: Option<Vec<Vec<u8>>>,
}

/// True when root makes a check as that user, who is another one. A user who may write
/// pid files can make root inspect a process of their own, and its command line must not be
/// executed with root's rights; the process itself will not have them either.
fn is_other(user: &User) -> bool {
    user::is_root() && user.uid != 0
}

/// The reason why a process is no server that can be reloaded.
#[derive(Debug)]
pub enum Mismatch {
    /// There is no such process, or it has ended.
    Gone,
    /// The process is no server. This is what it runs.
    Foreign(CommandLine),
    /// The process is a server that knows no seamless reload: its program.
    Unable(String),
    /// The process is a worker of this server's in the session of that process.
    Worker(Server, i32),
    /// That could not be found out.
    Unknown(io::Error),
}

impl From<io::Error> for Mismatch {
    fn from(error: io::Error) -> Mismatch {
        Mismatch::Unknown(error)
    }
}

impl Target {
    /// Proves that a process is a server that can be reloaded, by its own
    /// command line: a site's server or one of Swift's.
    pub fn by_pid(catalogue: &Catalogue, pid: Pid) -> Result<Target, Mismatch> {
        let process = Process::open(pid)?.ok_or(Mismatch::Gone)?;
        failpoint::at("pid-opened");
        let line = process.command_line()?.ok_or(Mismatch::Gone)?;
        let of = |name: &[u8]| {
            let mut servers = catalogue.servers.iter();
            servers.find(|server| server.command.as_bytes() == name)
        };
        let is_swifts = |name: &[u8]| name.starts_with(b"swift-") || of(name).is_some();
        let program = line.program(pid, |name| is_swifts(name.as_bytes()));
        let listed = program.and_then(|(name, _)| of(name.as_bytes()).cloned());
        let server = match (listed, program) {
            (Some(server), _) => server,
            (None, program) => match (served::server(pid, &line), program) {
                (Some(server), _) => server,
                (None, Some((name, _))) => {
                    return Err(Mismatch::Unable(name.to_string_lossy().into_owned()));
                }
                (None, None) => return Err(Mismatch::Foreign(line)),
            },
        };
        Target::finish(process, server, line)
    }

    /// Proves that a process is this server with this config, started when the
    /// row says it was.
    pub fn of_row(target: RowInstance) -> Result<Target, Failure> {
        if let Some(signal) = target.server.seamless.filter(|_| target.row.is_orphan()) {
            let text = format!("{signal} would kill it: its config is gone");
            return Err(Failure::new(Reason::Unsupported, text));
        }
        let vanished = || Failure::new(Reason::Vanished, "");
        let unknown = |e| Failure::unknown(&e);
        let pid = target.row.pid.ok_or_else(vanished)?;
        let start = target.row.start;
        let process = match pidfile::prove(pid, &target.instance()).map_err(unknown)? {
            Ok(process) => process,
            Err(Finding::Starting(_)) => {
                let text = "it executes something at this moment";
                return Err(Failure::new(Reason::Unsupported, text));
            }
            // With another start it is not the process that the row means.
            Err(Finding::WrongConfig { process, config })
                if start.is_none() || process.start().map_err(unknown)? == start =>
            {
                return Err(Failure::other_config(config));
            }
            Err(_) => return Err(vanished()),
        };
        let line = process.command_line().map_err(unknown)?;
        let target = Target::finish(process, target.server, line.ok_or_else(vanished)?)?;
        match start.is_none_or(|start| start == target.start) {
            true => Ok(target),
            false => Err(vanished()),
        }
    }

    fn finish(process: Process, server: Server, line: CommandLine) -> Result<Target, Mismatch> {
        let unable = || Mismatch::Unable(server.command.to_string());
        let signal = server.seamless.ok_or_else(unable)?;
        let pid = process.pid;
        failpoint::at("inspected");
        let stat = stat(pid)?.ok_or(Mismatch::Gone)?;
        let user = process::user(pid)?.ok_or(Mismatch::Gone)?;
        // Opened here and not when it is needed: by then it may be the
        // directory of another process, which chooses what is executed in it.
        let directory = File::open(format!("/proc/{pid}/cwd")).ok();
        let environment = is_other(&user).then(|| environment::of_check(pid));
        // Had it ended before the looks, they may have met another process
        // that has the number now.
        if stat.is_ending() || process.has_ended()? {
            return Err(Mismatch::Gone);
        }
        if stat.session != pid.raw() {
            return Err(Mismatch::Worker(server, stat.session));
        }
        Ok(Target {
            process,
            server,
            signal,
            line,
            start: stat.start,
            user,
            directory: directory.map(OwnedFd::from),
            environment,
        })
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.process.pid
    }

    /// The user on whose behalf it acts.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The effect of the signal on the process at this moment, if it still executes the same.
    pub fn effect(&self) -> Result<Effect, Failure> {
        let vanished = |text: &str| Failure::new(Reason::Vanished, text);
        let (Some(line), Some(stat)) = (command_line(self.pid())?, stat(self.pid())?) else {
            return Err(vanished(""));
        };
        if stat.is_ending() || self.process.has_ended()? {
            return Err(vanished(""));
        }
        if line.0.is_empty() {
            // It executes something at this moment.
            return Ok(Effect::Default);
        }
        let is_same = stat.start == self.start && stat.session == self.pid().raw();
        if !is_same || line != self.line {
            return Err(vanished("it has executed something else"));
        }
        effect(self.pid(), self.signal)?.ok_or_else(|| vanished(""))
    }

    /// How its config is checked: by what it will execute again, in the
    /// directory in which it will be executed. The verdict when there is nothing
    /// that could be asked. To be asked once.
    pub fn config_check(&mut self) -> Result<ConfigCheck, Verdict> {
        if self.line.is_cut() {
            let why = format!("its command line is longer than {PROC_MAX} bytes");
            return Err(Verdict::Bad(Reason::ExecFailed, why.into_bytes()));
        }
        let mut args: Vec<OsString> = self.line.args().map(OsString::from).collect();
        args.push(TEST_CONFIG.into());
        let directory = self.directory.take();
        // One of Swift's own executes its script anew, by the interpreter that the script names,
        // whatever it was started with (realpath(sys.argv[0]) in wsgi.py).
        let script = self
            .script()
            .filter(|at| *at > 0 && self.server.swift.is_some());
        args.drain(..script.unwrap_or(0));
        let program = Path::new(&args[0]);
        let program = if program.is_absolute() {
            program.to_owned()
        } else if script.is_some() || program.iter().nth(1).is_some() {
            let absolute = seen_from(directory.as_ref(), program);
            absolute.ok_or_else(|| {
                let why = format!("cannot see where {} is", program.display());
                Verdict::Bad(Reason::ExecFailed, why.into_bytes())
            })?
        } else {
            // Nothing of that name in the directory is meant, only what PATH leads to.
            let found = program
                .to_str()
                .and_then(|p| SearchPath::from_env().find(p));
            found.ok_or(Verdict::Bad(Reason::ExecMissing, Vec::new()))?
        };
        Ok(ConfigCheck {
            // As the process sees both, of a server that is too old for a check of its own.
            fallback: self
                .config(directory.as_ref())
                .and_then(|config| swift_config(&program, &config)),
            command: Some(Command { program, args }),
            preflight: self.preflight(directory.as_ref()),
            directory,
            user: is_other(&self.user).then(|| self.user.clone()),
            environment: Some(self.environment.take().unwrap_or_else(environment::own)),
        })
    }

    /// Which of its arguments is the server's program: 0 unless an interpreter
    /// runs it.
    fn script(&self) -> Option<usize> {
        let command = OsStr::new(&*self.server.command);
        let mut args = self.line.args().map(Path::new);
        args.position(|arg| arg.file_name() == Some(command))
    }

    /// The config that it was started with, as it sees it.
    fn config(&self, directory: Option<&OwnedFd>) -> Option<PathBuf> {
        let config = self.line.args().nth(self.script()? + 1)?;
        seen_from(directory, Path::new(config))
    }

    /// The check of what its new image needs, if that can be seen from here: its config has to
    /// be the very file that it sees itself, which may live with another root.
    fn preflight(&self, directory: Option<&OwnedFd>) -> Option<Preflight> {
        let pid = self.pid();
        let config = self.config(directory)?;
        let file = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
        let beneath = config.strip_prefix("/").ok()?;
        let its_own = Path::new(&format!("/proc/{pid}/root")).join(beneath);
        let network = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net")).ok();
        file(&config).filter(|own| file(&its_own) == Some(*own))?;
        Some(Preflight {
            kind: self.server.swift?,
            name: self.server.name.to_string(),
            config,
            runner: Runner::of(&self.user, pid),
            same_network: network("self").is_some_and(|own| network(&pid.to_string()) == Some(own)),
            runs: true,
        })
    }
}

/// A path as a process in that directory means it; none when it is relative and
/// the directory is not known.
fn seen_from(directory: Option<&OwnedFd>, path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let own = format!("/proc/self/fd/{}", directory?.as_raw_fd());
    Some(std::fs::read_link(own).ok()?.join(path))
}
