//! Letting servers check their own configs: `COMMAND CONF --test-config`.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::excerpt::Excerpt;
use crate::pidfile::reason_of;
use crate::process::Process;
use crate::reason::Reason;
use crate::sys::pidfd::{self, Ended};
use crate::sys::spawn::{Dispositions, Failure, Plan, User, spawn_as};
use crate::sys::{fd, spawn};
use crate::watch::{Watch, after};

/// How long a check may take unless the user says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How many checks run at a time: each is a whole server being loaded, so
/// memory is what runs out first.
const AT_ONCE: usize = 32;

/// How much is read from one check before the others and the time get their turn.
const TURN: usize = 256 * 1024;

/// The exit status of a server that does not know the option.
const UNKNOWN_OPTION: u8 = 2;

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server takes its config.
    Good,
    /// It does not, or could not be asked: why, and what it printed.
    Bad(Reason, Vec<u8>),
    /// It is too old to check its config (Swift before 2.30 or so).
    TooOld,
}

/// A check that is to be made.
#[derive(Debug)]
pub struct Question {
    /// The file to execute.
    pub program: PathBuf,
    /// Its arguments, its own name first and `--test-config` last.
    pub args: Vec<OsString>,
    /// The folder in which it is asked, when not this process's own.
    pub folder: Option<OwnedFd>,
}

struct Running {
    id: u64,
    process: Process,
    /// None when it speaks for itself.
    output: Option<OwnedFd>,
    excerpt: Excerpt,
    until: Option<Instant>,
    timed_out: bool,
}

/// Checks that go on at the same time. The owner waits for the descriptor of
/// this, and for [`Checks::until`], and then calls [`Checks::advance`].
pub struct Checks {
    watch: Watch,
    timeout: Duration,
    speaking: bool,
    waiting: VecDeque<(u64, Question, Option<User>)>,
    running: HashMap<u64, Running>,
    next_token: u64,
}

impl AsFd for Checks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

impl Checks {
    /// No checks yet; each gets that long.
    pub fn new(timeout: Duration) -> io::Result<Checks> {
        Ok(Checks {
            watch: Watch::new()?,
            timeout,
            speaking: false,
            waiting: VecDeque::new(),
            running: HashMap::new(),
            next_token: 0,
        })
    }

    /// What is printed goes to this process's own standard output and error
    /// instead of into the verdicts.
    pub fn speaking(mut self) -> Checks {
        self.speaking = true;
        self
    }

    /// Adds a check. Its verdict comes from [`Checks::advance`] with this id.
    pub fn add(&mut self, id: u64, question: Question) {
        self.waiting.push_back((id, question, None));
    }

    /// Adds a check that is made as that user, for which one has to be root.
    pub fn add_as(&mut self, id: u64, question: Question, user: User) {
        self.waiting.push_back((id, question, Some(user)));
    }

    /// Whether no check is waiting or running.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// When [`Checks::advance`] is to be called at the latest.
    pub fn until(&self) -> Option<Instant> {
        if self.running.is_empty() && !self.waiting.is_empty() {
            return Some(Instant::now());
        }
        self.running
            .values()
            .filter(|r| !r.timed_out)
            .filter_map(|r| r.until)
            .min()
    }

    /// Starts what can be started, takes in what has come, and returns the
    /// verdicts that are known by now. Never waits.
    pub fn advance(&mut self) -> io::Result<Vec<(u64, Verdict)>> {
        let mut verdicts = Vec::new();
        while self.running.len() < AT_ONCE
            && let Some((id, question, user)) = self.waiting.pop_front()
        {
            match self.start(id, &question, user.as_ref()) {
                Ok(()) => {}
                // Those that run give back what is missing when they end.
                Err(Obstacle::Full(_)) if !self.running.is_empty() => {
                    self.waiting.push_front((id, question, user));
                    break;
                }
                Err(Obstacle::Full(e)) => verdicts.push((id, cannot_execute(&e))),
                Err(Obstacle::Verdict(verdict)) => verdicts.push((id, verdict)),
            }
        }
        // Once, since of one that prints without end there is always more.
        for token in self.watch.wait(Some(Instant::now()))? {
            self.hear(token & !1, token & 1 == 1, &mut verdicts)?;
        }
        for check in self.running.values_mut().filter(|r| !r.timed_out) {
            if check.until.is_some_and(|until| until <= Instant::now()) {
                check.timed_out = true;
                check.process.kill_group()?;
            }
        }
        if verdicts.is_empty() || self.waiting.is_empty() {
            return Ok(verdicts);
        }
        // Places have become free.
        verdicts.extend(self.advance()?);
        Ok(verdicts)
    }

    fn start(&mut self, id: u64, question: &Question, user: Option<&User>) -> Result<(), Obstacle> {
        let cannot = Obstacle::of;
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let pipe = (!self.speaking).then(fd::pipe).transpose();
        let (output, end) = pipe.map_err(cannot)?.unzip();
        if let Some(output) = &output {
            fd::set_nonblocking(output).map_err(cannot)?;
        }
        let outputs = match &end {
            Some(end) => [end.as_fd(), end.as_fd()],
            None => [stdout.as_fd(), stderr.as_fd()],
        };
        let null = fd::null().map_err(cannot)?;
        let plan = Plan {
            program: question.program.as_os_str(),
            args: question
                .args
                .iter()
                .map(OsString::as_os_str)
                .collect::<Vec<&OsStr>>(),
            environment: None,
            own_number: None,
            stdio: [null.as_fd(), outputs[0], outputs[1]],
            extra: Vec::new(),
            folder: question.folder.as_ref().map(AsFd::as_fd),
            own_session: true,
            signals: Dispositions::Default,
            parent_death: Some(crate::signals::Signal::KILL),
            pid_file: None,
        };
        let child = spawn_as(&plan, user).map_err(exec_failure)?;
        let process = Process::from_child(child);
        self.next_token += 2;
        let token = self.next_token;
        let watched = output
            .as_ref()
            .map_or(Ok(()), |output| self.watch.add(output, token))
            .and_then(|()| self.watch.add(&process, token | 1));
        if let Err(e) = watched {
            // Nobody would hear of it any more.
            if process.kill_group().is_ok() {
                let _ = crate::sys::pidfd::wait(&process);
            }
            return Err(cannot(e));
        }
        let until = after(self.timeout);
        self.running.insert(
            token,
            Running {
                id,
                process,
                output,
                excerpt: Excerpt::default(),
                until,
                timed_out: false,
            },
        );
        Ok(())
    }

    /// Takes in what one check has to say. Its end is the end of the process:
    /// a child that it left behind may hold the output open for ever.
    fn hear(
        &mut self,
        token: u64,
        ended: bool,
        verdicts: &mut Vec<(u64, Verdict)>,
    ) -> io::Result<()> {
        let Some(check) = self.running.get_mut(&token) else {
            return Ok(());
        };
        if !check.read_output()?
            && !ended
            && let Some(output) = &check.output
        {
            self.watch.remove(output)?;
        }
        if ended && let Some(check) = self.running.remove(&token) {
            let status = pidfd::wait(&check.process)?;
            verdicts.push((check.id, check.verdict(status)));
        }
        Ok(())
    }
}

impl Running {
    /// Reads what is there, up to a limit; `false` at the end of the output.
    fn read_output(&mut self) -> io::Result<bool> {
        let Some(output) = &self.output else {
            return Ok(true);
        };
        let mut buffer = [0; 8192];
        let mut total = 0;
        while total < TURN {
            match fd::read(output, &mut buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.excerpt.push(&buffer[..n]);
                    total += n;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    fn verdict(&self, status: Ended) -> Verdict {
        match status {
            _ if self.timed_out => Verdict::Bad(Reason::Timeout, self.excerpt.text()),
            Ended::Exit(0) => Verdict::Good,
            Ended::Exit(UNKNOWN_OPTION) => Verdict::TooOld,
            Ended::Exit(status) => Verdict::Bad(Reason::Exit(status), self.excerpt.text()),
            Ended::Signal(number) => Verdict::Bad(Reason::Signal(number), self.excerpt.text()),
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

fn exec_failure(failure: spawn::Failure) -> Obstacle {
    match failure {
        Failure::Exec(e) if e.kind() == io::ErrorKind::NotFound => {
            Obstacle::Verdict(Verdict::Bad(Reason::ExecMissing, Vec::new()))
        }
        Failure::Exec(e) | Failure::Fork(e) | Failure::PidFile(e) => Obstacle::of(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(script: &str, timeout: Duration) -> Verdict {
        ask_in(Checks::new(timeout).unwrap(), script)
    }

    fn ask_in(checks: Checks, script: &str) -> Verdict {
        ask_all(checks, script, None)
    }

    fn ask_as(script: &str, user: Option<User>) -> Verdict {
        ask_all(Checks::new(LONG).unwrap(), script, user)
    }

    fn ask_all(mut checks: Checks, script: &str, user: Option<User>) -> Verdict {
        let args = ["sh", "-c", script].map(OsString::from).to_vec();
        let question = Question {
            program: "/bin/sh".into(),
            args,
            folder: None,
        };
        match user {
            Some(user) => checks.add_as(7, question, user),
            None => checks.add(7, question),
        }
        let watch = Watch::new().unwrap();
        watch.add(&checks, 0).unwrap();
        loop {
            if let Some((id, verdict)) = checks.advance().unwrap().pop() {
                assert_eq!(id, 7);
                assert!(checks.is_idle());
                return verdict;
            }
            watch.wait(checks.until()).unwrap();
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn the_exit_status_is_the_verdict() {
        assert_eq!(ask("echo fine", LONG), Verdict::Good);
        assert_eq!(ask("exit 2", LONG), Verdict::TooOld);
        assert_eq!(
            ask("echo no; echo good >&2; exit 1", LONG),
            Verdict::Bad(Reason::Exit(1), b"no\ngood\n".to_vec())
        );
        assert_eq!(
            ask("kill -9 $$", LONG),
            Verdict::Bad(Reason::Signal(9), Vec::new())
        );
    }

    #[test]
    fn what_speaks_for_itself_leaves_its_verdict_empty() {
        let checks = Checks::new(LONG).unwrap().speaking();
        assert_eq!(
            ask_in(checks, "echo told; echo by the check >&2; exit 1"),
            Verdict::Bad(Reason::Exit(1), Vec::new())
        );
    }

    #[test]
    fn as_another_user_it_has_that_users_rights_only() {
        if !nix::unistd::geteuid().is_root() {
            // Only root can become somebody else, so that is what is tested here.
            return refuses_another_user();
        }
        let user = User {
            uid: 65533,
            gid: 65532,
            groups: vec![65531, 65532],
        };
        let script = "id -u; id -g; id -G; grep Cap[EP][fr] /proc/self/status | cut -f 2; exit 1";
        assert_eq!(
            ask_as(script, Some(user)),
            Verdict::Bad(
                Reason::Exit(1),
                b"65533\n65532\n65532 65531\n0000000000000000\n0000000000000000\n".to_vec()
            )
        );
    }

    fn refuses_another_user() {
        let user = User {
            uid: 65533,
            gid: 65533,
            groups: Vec::new(),
        };
        let why = b"Operation not permitted".to_vec();
        assert_eq!(
            ask_as("", Some(user)),
            Verdict::Bad(Reason::ExecFailed, why)
        );
    }

    #[test]
    fn a_child_that_holds_the_output_is_not_waited_for() {
        assert_eq!(
            ask("sleep 600 & echo bad; exit 1", LONG),
            Verdict::Bad(Reason::Exit(1), b"bad\n".to_vec())
        );
    }

    #[test]
    fn one_that_prints_without_end_leaves_the_others_their_turn() {
        let me = crate::process::Pid::new(std::process::id() as i32).unwrap();
        let mut check = Running {
            id: 1,
            process: Process::open(me).unwrap().unwrap(),
            output: Some(std::fs::File::open("/dev/zero").unwrap().into()),
            excerpt: Excerpt::default(),
            until: None,
            timed_out: false,
        };
        assert!(check.read_output().unwrap());
    }

    #[test]
    fn what_takes_too_long_is_killed() {
        assert_eq!(
            ask("sleep 600", Duration::from_millis(1)),
            Verdict::Bad(Reason::Timeout, Vec::new())
        );
    }

    #[test]
    fn a_missing_program_is_a_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let mut checks = Checks::new(LONG).unwrap();
        checks.add(
            1,
            Question {
                program: folder.path().join("missing"),
                args: vec!["x".into()],
                folder: None,
            },
        );
        assert_eq!(
            checks.advance().unwrap(),
            [(1, Verdict::Bad(Reason::ExecMissing, Vec::new()))]
        );
    }
}
