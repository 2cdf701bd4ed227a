//! Config checks: a server's own (`COMMAND CONF --test-config`), and
//! swift-config where the server is too old to have one.

mod output;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::actor::Token;
use crate::preflight::Preflight;
use crate::process::{Pid, Process};
use swift_cli::program::is_executable;
use swift_records::config;
use swift_records::reason::Reason;
use swift_sys::epoll::{Epoll, deadline_in};
use swift_sys::error::reason_of;
use swift_sys::fd;
use swift_sys::pidfd::{self, Ended};
use swift_sys::spawn::{Failure, Plan, User, spawn};

pub use output::TEST_CONFIG;

use output::{Output, Relay};

/// The default timeout of a check.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The number of checks that run at a time: each loads a whole server, so memory
/// is what runs out first.
const AT_ONCE: usize = 32;

/// The exit status of optparse for an option that it does not know. Python and
/// shells exit with it as well when their script is missing, so it says nothing
/// by itself.
const USAGE_ERROR: u8 = 2;

/// The part of a check's tokens that stands for its process; the parts below are its output.
const PROCESS: u8 = 2;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server accepts its config.
    Good,
    /// The server does not accept it, or the check could not run: the reason, and its output.
    Bad(Reason, Vec<u8>),
    /// The server is too old to check its config, and has no swift-config beside it
    /// (Swift before 2.32).
    TooOld,
}

/// A program and its arguments, its own name first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The file to execute; PATH is not searched.
    pub program: PathBuf,
    /// Its arguments, its own name first.
    pub args: Vec<OsString>,
}

/// A check that is to be made.
#[derive(Debug, Default)]
pub struct ConfigCheck {
    /// The server's own check, whose last argument is [`TEST_CONFIG`]; none
    /// when it has none.
    pub command: Option<Command>,
    /// The check to run when the server turns out to be too old for its own.
    pub fallback: Option<Command>,
    /// The check of everything else, made once the config has passed.
    pub preflight: Option<Preflight>,
    /// The directory in which it runs, when not this process's own.
    pub directory: Option<OwnedFd>,
    /// The user it runs as, when not this process's own; this process has to be root.
    pub user: Option<User>,
    /// Its environment, as NAME=VALUE; none for this process's own.
    pub environment: Option<Vec<Vec<u8>>>,
}

/// `swift-config -w CONF`, where swift-config stands beside a server's program
/// or beside the file that it is a link to. It is there in every Swift, reads a
/// config as the server does, and takes a path that exists for that config
/// alone (swift/cli/config.py).
pub fn swift_config(program: &Path, config: &Path) -> Option<Command> {
    let config = std::path::absolute(config).ok()?;
    let real = program.canonicalize().ok();
    let beside = [Some(program), real.as_deref()];
    let mut places = beside.into_iter().flatten().filter_map(Path::parent);
    let program = places.find_map(|place| {
        let found = place.join("swift-config");
        is_executable(&found).then_some(found)
    })?;
    let args = vec!["swift-config".into(), "-w".into(), config.into()];
    Some(Command { program, args })
}

/// A check that was not made yet, or runs.
struct Job {
    id: u64,
    check: ConfigCheck,
    /// True once the fallback has taken the command's place: swift-config.
    is_fallback: bool,
}

struct Running {
    job: Job,
    process: Process,
    output: Output,
    deadline: Option<Instant>,
    timed_out: bool,
}

/// Checks that go on at the same time. The owner waits for the descriptor of
/// this, and for [`Checks::deadline`], and then calls [`Checks::advance`].
pub struct Checks {
    epoll: Epoll,
    timeout: Duration,
    relay: Option<[File; 2]>,
    waiting: VecDeque<Job>,
    running: HashMap<u64, Running>,
    last_subject: u64,
}

impl AsFd for Checks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Checks {
    /// No checks yet; each gets that long.
    pub fn new(timeout: Duration) -> io::Result<Checks> {
        Ok(Checks {
            epoll: Epoll::new()?,
            timeout,
            relay: None,
            waiting: VecDeque::new(),
            running: HashMap::new(),
            last_subject: 0,
        })
    }

    /// Sends the output to these two instead of into the verdicts: standard
    /// output to the first, standard error to the second. It is held back up to
    /// a limit until the check has ended, since a server that is too old prints
    /// its usage, which is of no use.
    pub fn relaying(mut self, stdout: File, stderr: File) -> Checks {
        self.relay = Some([stdout, stderr]);
        self
    }

    /// Adds a check. Its verdict comes from [`Checks::advance`] with this id.
    pub fn add(&mut self, id: u64, check: ConfigCheck) {
        self.waiting.push_back(Job {
            id,
            check,
            is_fallback: false,
        });
    }

    /// True when no check is waiting or running.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// True when the process of a check that runs has this pid.
    pub fn has(&self, pid: Pid) -> bool {
        self.running.values().any(|run| run.process.pid == pid)
    }

    /// The deadline for the next call of [`Checks::advance`].
    pub fn deadline(&self) -> Option<Instant> {
        if self.running.is_empty() && !self.waiting.is_empty() {
            return Some(Instant::now());
        }
        self.running
            .values()
            .filter(|r| !r.timed_out)
            .filter_map(|r| r.deadline)
            .min()
    }

    /// Starts what can be started, takes in what has come, and returns the
    /// verdicts that are known by now. Never waits.
    pub fn advance(&mut self) -> io::Result<Vec<(u64, Verdict)>> {
        let mut verdicts = Vec::new();
        self.start_waiting(&mut verdicts)?;
        // Once, since of one that prints without end there is always more.
        for token in self.epoll.wait(Some(Instant::now()))? {
            self.on_event(token.into(), &mut verdicts)?;
        }
        for check in self.running.values_mut().filter(|r| !r.timed_out) {
            if check.deadline.is_some_and(|d| d <= Instant::now()) {
                check.timed_out = true;
                check.process.kill_group()?;
            }
        }
        // Places may have become free, and a server may be too old.
        self.start_waiting(&mut verdicts)?;
        Ok(verdicts)
    }

    fn start_waiting(&mut self, verdicts: &mut Vec<(u64, Verdict)>) -> io::Result<()> {
        while self.running.len() < AT_ONCE
            && let Some(job) = self.waiting.pop_front()
        {
            let verdict = match self.start(&job) {
                Ok(None) => Verdict::Good,
                Ok(Some((process, output))) => {
                    let running = Running {
                        job,
                        process,
                        output,
                        deadline: deadline_in(self.timeout),
                        timed_out: false,
                    };
                    self.running.insert(self.last_subject, running);
                    continue;
                }
                // The running ones free descriptors when they end.
                Err(Obstacle::Full(_)) if !self.running.is_empty() => {
                    self.waiting.push_front(job);
                    break;
                }
                Err(Obstacle::Full(e)) => cannot_execute(&e),
                Err(Obstacle::Verdict(known)) => known,
            };
            verdicts.push((job.id, job.check.verdict(verdict)));
        }
        Ok(())
    }

    /// Starts a check under the next subject; none when there is no program to run.
    fn start(&mut self, job: &Job) -> Result<Option<(Process, Output)>, Obstacle> {
        let cannot = Obstacle::of;
        let check = &job.check;
        let Some(command) = &check.command else {
            return Ok(None);
        };
        // swift-config takes a path that leads nowhere for a server's name, and is content.
        let is_missing = |config: &OsString| !Path::new(config).exists();
        if job.is_fallback && command.args.last().is_some_and(is_missing) {
            return Err(Obstacle::Verdict(Verdict::Bad(Reason::Absent, Vec::new())));
        }
        if let Err(why) = check
            .config()
            .map_or(Ok(()), |path| config::require_regular(&path))
        {
            let verdict = Verdict::Bad(Reason::File, why.into_bytes());
            return Err(Obstacle::Verdict(verdict));
        }
        let null = fd::null().map_err(cannot)?;
        let relay = self.relay.as_ref().map(Relay::to).transpose();
        let (output, ends) = Output::new(relay.map_err(cannot)?).map_err(cannot)?;
        // swift-config prints the whole config, with all that is secret in it.
        let stdout = match job.is_fallback {
            true => null.as_fd(),
            false => ends[0].as_fd(),
        };
        let stdio = [null.as_fd(), stdout, ends[1].as_fd()];
        let plan = Plan {
            environment: check.environment.clone(),
            directory: check.directory.as_ref().map(AsFd::as_fd),
            user: check.user.as_ref(),
            own_session: true,
            parent_death: Some(swift_sys::signal::Signal::KILL),
            ..Plan::new(command.program.as_os_str(), &command.args, stdio)
        };
        let child = spawn(&plan).map_err(exec_failure)?;
        let process = Process::from_child(child);
        self.last_subject += 1;
        let token = |part| Token::new(self.last_subject, part);
        let watched = output
            .watch(&self.epoll, token)
            .and_then(|()| self.epoll.add(&process, token(PROCESS).into()));
        if let Err(e) = watched {
            // Its end would not be seen.
            if process.kill_group().is_ok() {
                let _ = pidfd::wait(&process);
            }
            return Err(cannot(e));
        }
        Ok(Some((process, output)))
    }

    /// Takes in the output or the end of one check. A check ends with its process:
    /// a child that it left behind may hold the output open for ever.
    fn on_event(&mut self, token: Token, verdicts: &mut Vec<(u64, Verdict)>) -> io::Result<()> {
        let Some(run) = self.running.get_mut(&token.subject) else {
            return Ok(());
        };
        if token.part != PROCESS {
            return run.output.read(token.part.into(), &self.epoll);
        }
        run.output.read_all(&self.epoll)?;
        if let Some(run) = self.running.remove(&token.subject) {
            let status = pidfd::wait(&run.process)?;
            self.finish(run, status, verdicts);
        }
        Ok(())
    }

    /// Gives the verdict of a check that has ended, or runs its other program.
    fn finish(&mut self, run: Running, status: Ended, verdicts: &mut Vec<(u64, Verdict)>) {
        let reason = match status {
            _ if run.timed_out => Some(Reason::Timeout),
            Ended::Exit(0) => None,
            Ended::Exit(status) => Some(Reason::Exit(status)),
            Ended::Signal(number) => Some(Reason::Signal(number)),
        };
        let mut job = run.job;
        let too_old = !job.is_fallback
            && reason == Some(Reason::Exit(USAGE_ERROR))
            && run.output.names_unknown_option();
        let text = run
            .output
            .finish(!too_old && (!job.is_fallback || reason.is_some()));
        let verdict = match reason {
            _ if too_old && job.check.fallback.is_some() => {
                job.check.command = job.check.fallback.take();
                job.is_fallback = true;
                return self.waiting.push_front(job);
            }
            _ if too_old => Verdict::TooOld,
            None => Verdict::Good,
            Some(reason) => Verdict::Bad(reason, text),
        };
        verdicts.push((job.id, job.check.verdict(verdict)));
    }
}

impl ConfigCheck {
    /// The path of the config, as this process can reach it, where a server checks it.
    fn config(&self) -> Option<PathBuf> {
        let args = &self.command.as_ref()?.args;
        let config = Path::new(args.iter().rfind(|word| *word != TEST_CONFIG)?);
        Some(match &self.directory {
            Some(fd) => Path::new(&format!("/proc/self/fd/{}", fd.as_raw_fd())).join(config),
            None => config.to_owned(),
        })
    }

    /// The verdict after the preflight of a config that passed its check.
    fn verdict(&self, verdict: Verdict) -> Verdict {
        let finding = match (&verdict, &self.preflight) {
            (Verdict::Good | Verdict::TooOld, Some(preflight)) => preflight.check().err(),
            _ => None,
        };
        finding.map_or(verdict, |finding| {
            Verdict::Bad(finding.reason, finding.text.into_bytes())
        })
    }
}

/// The reason why a check was not started.
enum Obstacle {
    /// There are no descriptors left.
    Full(io::Error),
    /// The verdict is known without it.
    Verdict(Verdict),
}

impl Obstacle {
    fn of(error: io::Error) -> Obstacle {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Obstacle::Full(error),
            _ => Obstacle::Verdict(cannot_execute(&error)),
        }
    }
}

fn cannot_execute(error: &io::Error) -> Verdict {
    Verdict::Bad(Reason::ExecFailed, reason_of(error).into_bytes())
}

fn exec_failure(failure: Failure) -> Obstacle {
    match failure {
        Failure::Exec(e) if e.kind() == io::ErrorKind::NotFound => {
            Obstacle::Verdict(Verdict::Bad(Reason::ExecMissing, Vec::new()))
        }
        Failure::Exec(e) | Failure::Fork(e) | Failure::PidFile(e) => Obstacle::of(e),
    }
}
