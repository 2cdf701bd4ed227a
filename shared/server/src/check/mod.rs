//! Config checks: a server's own (`COMMAND CONF --test-config`), and
//! swift-config where the server is too old to have one.

mod output;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::preflight::Preflight;
use crate::process::Process;
use swift_cli::program::is_executable;
use swift_records::reason::Reason;
use swift_sys::epoll::{Epoll, deadline_in};
use swift_sys::error::reason_of;
use swift_sys::fd;
use swift_sys::pidfd::{self, Ended};
use swift_sys::spawn::{Failure, Plan, User, spawn};

pub use output::TEST_CONFIG;

use output::{Output, Relay};

/// How long a check may take unless the user says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How many checks run at a time: each is a whole server being loaded, so
/// memory is what runs out first.
const AT_ONCE: usize = 32;

/// The exit status of optparse for an option that it does not know. Python and
/// shells exit with it as well when their script is missing, so it says nothing
/// by itself.
const USAGE_ERROR: u8 = 2;

/// Tokens per check: its standard output, its standard error, its process.
const TOKENS: u64 = 4;
const PROCESS: u64 = 2;

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server takes its config.
    Good,
    /// It does not, or could not be asked: why, and what it printed.
    Bad(Reason, Vec<u8>),
    /// It is too old to check its config, and has no swift-config beside it
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
#[derive(Debug)]
pub struct ConfigCheck {
    /// The server's own check, whose last argument is [`TEST_CONFIG`]; none
    /// when it has none.
    pub command: Option<Command>,
    /// What checks the config when the server turns out to be too old for that.
    pub fallback: Option<Command>,
    /// What is looked at here, once the checks had nothing to say.
    pub preflight: Option<Preflight>,
    /// The directory in which it runs, when not this process's own.
    pub directory: Option<OwnedFd>,
    /// The user as whom it runs, when not this process's own, for which one has
    /// to be root.
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

/// The warning that a config is not checked at all. It is to be said once a
/// command: servers of one machine are of one Swift.
pub fn too_old(command: &str) -> String {
    format!(
        "{command} is too old to check configs, and no swift-config stands beside it; \
         going on without a check"
    )
}

/// The two things that can be asked about a config, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Server,
    SwiftConfig,
}

/// A check whose turn has not come.
struct Waiting {
    id: u64,
    check: ConfigCheck,
    asked: Asked,
}

struct Running {
    id: u64,
    check: ConfigCheck,
    asked: Asked,
    process: Process,
    output: Output,
    deadline: Option<Instant>,
    timed_out: bool,
}

/// Checks that go on at the same time. The owner waits for the descriptor of
/// this, and for [`Checks::until`], and then calls [`Checks::advance`].
pub struct Checks {
    epoll: Epoll,
    timeout: Duration,
    relay: Option<[File; 2]>,
    waiting: VecDeque<Waiting>,
    running: HashMap<u64, Running>,
    next_token: u64,
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
            next_token: 0,
        })
    }

    /// What is printed goes to these two instead of into the verdicts: standard
    /// output to the first, standard error to the second. It is held back up to
    /// a limit until the check has ended, since a server that is too old prints
    /// how it is to be called, which helps nobody.
    pub fn relaying(mut self, stdout: File, stderr: File) -> Checks {
        self.relay = Some([stdout, stderr]);
        self
    }

    /// Adds a check. Its verdict comes from [`Checks::advance`] with this id.
    pub fn add(&mut self, id: u64, check: ConfigCheck) {
        let asked = Asked::Server;
        self.waiting.push_back(Waiting { id, check, asked });
    }

    /// Whether no check is waiting or running.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// When [`Checks::advance`] is to be called at the latest.
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
            self.on_readable(token, &mut verdicts)?;
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
            && let Some(waiting) = self.waiting.pop_front()
        {
            let result = self.start(&waiting);
            let mut verdict = |verdict| {
                let verdict = waiting.check.verdict(verdict);
                verdicts.push((waiting.id, verdict));
            };
            match result {
                Ok(None) => verdict(Verdict::Good),
                Ok(Some((token, process, output))) => {
                    let running = Running {
                        id: waiting.id,
                        check: waiting.check,
                        asked: waiting.asked,
                        process,
                        output,
                        deadline: deadline_in(self.timeout),
                        timed_out: false,
                    };
                    self.running.insert(token, running);
                }
                // Those that run give back what is missing when they end.
                Err(Obstacle::Full(_)) if !self.running.is_empty() => {
                    self.waiting.push_front(waiting);
                    break;
                }
                Err(Obstacle::Full(e)) => verdict(cannot_execute(&e)),
                Err(Obstacle::Verdict(known)) => verdict(known),
            }
        }
        Ok(())
    }

    /// Starts a check; none when there is no program to be asked.
    fn start(&mut self, waiting: &Waiting) -> Result<Option<(u64, Process, Output)>, Obstacle> {
        let cannot = Obstacle::of;
        let check = &waiting.check;
        let command = match waiting.asked {
            Asked::Server => check.command.as_ref(),
            Asked::SwiftConfig => check.fallback.as_ref(),
        };
        let Some(command) = command else {
            return Ok(None);
        };
        // swift-config takes a path that leads nowhere for a server's name, and is content.
        if waiting.asked == Asked::SwiftConfig
            && command
                .args
                .last()
                .is_some_and(|config| !Path::new(config).exists())
        {
            return Err(Obstacle::Verdict(Verdict::Bad(Reason::Absent, Vec::new())));
        }
        let null = fd::null().map_err(cannot)?;
        let relay = self.relay.as_ref().map(Relay::to).transpose();
        let (output, ends) = Output::new(relay.map_err(cannot)?).map_err(cannot)?;
        // swift-config prints the whole config, with all that is secret in it.
        let stdout = match waiting.asked {
            Asked::Server => ends[0].as_fd(),
            Asked::SwiftConfig => null.as_fd(),
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
        self.next_token += TOKENS;
        let token = self.next_token;
        let watched = output
            .watch(&self.epoll, token)
            .and_then(|()| self.epoll.add(&process, token + PROCESS));
        if let Err(e) = watched {
            // Nobody would hear of it any more.
            if process.kill_group().is_ok() {
                let _ = swift_sys::pidfd::wait(&process);
            }
            return Err(cannot(e));
        }
        Ok(Some((token, process, output)))
    }

    /// Takes in what one check has to say. Its end is the end of the process:
    /// a child that it left behind may hold the output open for ever.
    fn on_readable(&mut self, token: u64, verdicts: &mut Vec<(u64, Verdict)>) -> io::Result<()> {
        let (key, which) = (token - token % TOKENS, token % TOKENS);
        let Some(check) = self.running.get_mut(&key) else {
            return Ok(());
        };
        if which != PROCESS {
            return check.output.read(which as usize, &self.epoll);
        }
        check.output.read_all(&self.epoll)?;
        if let Some(check) = self.running.remove(&key) {
            let status = pidfd::wait(&check.process)?;
            self.finish(check, status, verdicts);
        }
        Ok(())
    }

    /// A check has ended: its verdict, or one more check.
    fn finish(&mut self, run: Running, status: Ended, verdicts: &mut Vec<(u64, Verdict)>) {
        let reason = match status {
            _ if run.timed_out => Some(Reason::Timeout),
            Ended::Exit(0) => None,
            Ended::Exit(status) => Some(Reason::Exit(status)),
            Ended::Signal(number) => Some(Reason::Signal(number)),
        };
        let too_old = run.asked == Asked::Server
            && reason == Some(Reason::Exit(USAGE_ERROR))
            && run.output.names_unknown_option();
        let of_interest = !too_old && (run.asked == Asked::Server || reason.is_some());
        let text = run.output.finish(of_interest);
        let verdict = match reason {
            _ if too_old && run.check.fallback.is_some() => {
                let (id, check, asked) = (run.id, run.check, Asked::SwiftConfig);
                return self.waiting.push_front(Waiting { id, check, asked });
            }
            _ if too_old => Verdict::TooOld,
            None => Verdict::Good,
            Some(reason) => Verdict::Bad(reason, text),
        };
        verdicts.push((run.id, run.check.verdict(verdict)));
    }
}

impl ConfigCheck {
    /// A verdict, after a look at what no check has looked at.
    fn verdict(&self, verdict: Verdict) -> Verdict {
        let look = match verdict {
            Verdict::Good | Verdict::TooOld => self.preflight.as_ref(),
            Verdict::Bad(..) => None,
        };
        match look.map_or(Ok(()), Preflight::look) {
            Ok(()) => verdict,
            Err(finding) => Verdict::Bad(finding.reason, finding.text.into_bytes()),
        }
    }
}

/// Why a check was not begun.
enum Obstacle {
    /// There are no descriptors left.
    Full(io::Error),
    /// What it comes to.
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
