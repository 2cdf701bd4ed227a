//! A server that was started, until it is ready or has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use swift_records::catalogue::Server;
use swift_records::instance::{Instance, PidPath};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::actor::Token;
use swift_server::head_tail::HeadTail;
use swift_server::locks::Locks;
use swift_server::pidfile;
use swift_server::process::{self, Pid, Process};
use swift_server::rundir::RunDir;
use swift_sys::epoll::{Epoll, deadline_in, min_deadline};
use swift_sys::failpoint;
use swift_sys::pidfd::Ended;
use swift_sys::signal::Signal;
use swift_sys::{fd, pidfd};

use crate::failure::{self, Failure};
use crate::proof::{self, Proof};

/// How long a server that printed something is watched after it is ready
/// (WARNING_WAIT in manager.py): it may have been its last words.
const WARNING_WAIT: Duration = Duration::from_secs(3);

/// How long one that has closed its output without a word is watched before it
/// counts as ready: some programs close it just before they exit.
const SILENT_WAIT: Duration = Duration::from_millis(20);

/// How long a killed server may take to be gone: the kernel may be busy with it.
const KILLED_WAIT: Duration = Duration::from_secs(15);

/// How often a server that is not ready is looked at, in case it went on in
/// another process while this one keeps its output open, as `setsid -w` does.
/// The kernel has no event for this: neither the process nor its output ends.
const DEPARTURE_LOOK: Duration = Duration::from_secs(1);

/// How often what belongs to a server is looked for anew while it is stopped.
const ROUNDS: usize = 16;

/// How much is read from one server before the others get their turn.
const READ_BUDGET: usize = 256 * 1024;

/// The most that a pipe can hold (fs.pipe-max-size), and so the most that can
/// be left in it by a process that has ended.
const LEFT: usize = 1024 * 1024;

/// What it is awaited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// To close its output.
    Ready,
    /// To end at once, since it has closed its output and said nothing.
    Silent,
    /// To end, however long it takes.
    End,
    /// To end soon after it was ready, which it should not.
    Warning,
    /// To end after TERM, since it was not ready in time or cannot be found again.
    Terminated,
    /// To end after KILL.
    Killed,
}

/// How a started server is awaited.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Whether its end is awaited, and not that it is ready.
    pub to_the_end: bool,
    /// True when its end is awaited after it was ready.
    pub supervise: bool,
    /// How long it may take to be ready.
    pub start_timeout: Option<Duration>,
    /// How long it gets to die.
    pub kill_wait: Duration,
}

/// A started server that is awaited.
pub struct Begun {
    row: Row,
    process: Process,
    output: Option<OwnedFd>,
    head_tail: HeadTail,
    phase: Phase,
    deadline: Option<Instant>,
    patience: Patience,
    server: Server,
    pid_path: PidPath,
    id: u64,
    /// When it is looked at next while it is not ready.
    next_look: Option<Instant>,
    /// Whether it has ended, and its status was taken.
    has_ended: bool,
    /// Why it is stopped, when that is not the time that it took.
    unproven: Option<String>,
    /// What belongs to it, and is stopped along with it or after it.
    strays: Vec<Process>,
    /// True when it has ended and the rest of its session is awaited.
    lingers: bool,
}

/// The parts of a server's [`Token`]s: its output, its end, and the ends of strays.
pub const OUTPUT: u8 = 0;
/// See [`OUTPUT`].
pub const END: u8 = 1;
const STRAYS: u8 = 2;

/// What is to be done next for a server.
#[derive(Debug)]
pub enum Step {
    /// It is awaited further.
    Wait,
    /// This is known of it, and it is awaited further.
    Row(Row),
    /// This is the last that is to be known of it, with what is said when it
    /// is a failure.
    Last(Row, Option<String>),
    /// This is the last that is to be known of it, but its workers still finish
    /// requests.
    Lingers(Row, Option<String>),
    /// All that is to be known of it was told.
    Done,
    /// It was stopped and has ended: its pid file is to be removed, and then
    /// this failure told.
    Remove(Failure),
}

impl Begun {
    /// A server that was just started, and the subject of its tokens.
    pub fn new(
        (row, server, pid_path): (Row, Server, PidPath),
        process: Process,
        output: Option<OwnedFd>,
        patience: Patience,
        (epoll, id): (&Epoll, u64),
    ) -> io::Result<Begun> {
        let token = |part| Token { subject: id, part };
        epoll.add(&process, token(END).into())?;
        let phase = match &output {
            Some(output) => {
                epoll.add(output, token(OUTPUT).into())?;
                Phase::Ready
            }
            None => Phase::End,
        };
        let timeout = patience.start_timeout.filter(|_| phase == Phase::Ready);
        Ok(Begun {
            row,
            process,
            output,
            head_tail: HeadTail::default(),
            phase,
            deadline: timeout.and_then(deadline_in),
            next_look: deadline_in(DEPARTURE_LOOK).filter(|_| !patience.to_the_end),
            patience,
            server,
            pid_path,
            id,
            has_ended: false,
            unproven: None,
            strays: Vec::new(),
            lingers: false,
        })
    }

    fn token(&self, part: u8) -> u64 {
        let subject = self.id;
        Token { subject, part }.into()
    }

    /// When [`Begun::time_is_up`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        let look = self.next_look.filter(|_| self.phase == Phase::Ready);
        min_deadline(self.deadline, look)
    }

    /// The row and the server that it is of.
    pub fn subject(&self) -> (&Row, &Server, &PidPath) {
        (&self.row, &self.server, &self.pid_path)
    }

    /// No longer awaits an end that may be far away; what has just been started
    /// is still awaited until it is ready, since closing its output would kill it.
    pub fn hurry(&mut self) -> Step {
        self.patience.to_the_end = false;
        match self.phase {
            Phase::End => Step::Last(self.ready(), None),
            _ => Step::Wait,
        }
    }

    /// Takes in what it has printed, or that it prints no more.
    pub fn hear(&mut self, epoll: &Epoll) -> io::Result<Step> {
        if self.read(READ_BUDGET)? {
            return Ok(Step::Wait);
        }
        failpoint::at("output-ended");
        // Closing takes it out of the watch.
        self.output = None;
        let stat = process::stat(self.process.pid)?;
        if self.phase != Phase::Ready || stat.is_none_or(|stat| stat.is_ending()) {
            // Exit closes a process's files before its pidfd says that it is
            // gone: this is no server that is ready.
            return Ok(Step::Wait);
        }
        if self.patience.to_the_end {
            (self.phase, self.deadline) = (Phase::End, None);
            return Ok(Step::Wait);
        }
        if self.head_tail.is_empty() {
            (self.phase, self.deadline) = (Phase::Silent, deadline_in(SILENT_WAIT));
            return Ok(Step::Wait);
        }
        self.announce(epoll)
    }

    /// Says that it is ready, if the next command will find it.
    fn announce(&mut self, epoll: &Epoll) -> io::Result<Step> {
        match proof::look(&self.process, &self.instance()) {
            Proof::Holds => {}
            Proof::Open => {
                (self.phase, self.deadline) = (Phase::Silent, deadline_in(SILENT_WAIT));
                return Ok(Step::Wait);
            }
            Proof::Ended => {
                (self.phase, self.deadline) = (Phase::Silent, None);
                return Ok(Step::Wait);
            }
            Proof::Fails(why) => return self.stop(epoll, &why),
        }
        if self.patience.supervise {
            let ready = self.ready();
            (self.phase, self.deadline) = (Phase::End, None);
            // What it printed before has nothing to do with its end.
            self.head_tail = HeadTail::default();
            self.row.state = State::Ready;
            return Ok(Step::Row(ready));
        }
        if self.head_tail.is_empty() {
            return Ok(Step::Last(self.ready(), None));
        }
        (self.phase, self.deadline) = (Phase::Warning, deadline_in(WARNING_WAIT));
        self.row.state = State::Ready;
        Ok(Step::Row(self.ready()))
    }

    fn instance(&self) -> Instance<'_> {
        Instance {
            server: &self.server,
            config: self.row.config.as_deref().unwrap_or(Path::new("")),
            pid_path: &self.pid_path,
        }
    }

    /// Ends it and all that belongs to it, since it would not be found again.
    fn stop(&mut self, epoll: &Epoll, why: &str) -> io::Result<Step> {
        (self.phase, self.deadline) = (Phase::Terminated, deadline_in(self.patience.kill_wait));
        self.unproven = Some(why.to_owned());
        if !self.has_ended {
            // What may not be signalled stays until the time is up, and is told then.
            let _ = self.process.signal(Signal::TERM);
        }
        self.stop_strays(epoll)?;
        Ok(self.after_stop())
    }

    /// Ends what belongs to it. What is found may fork before it is signalled, so
    /// this goes on until nobody else is there.
    fn stop_strays(&mut self, epoll: &Epoll) -> io::Result<()> {
        for _ in 0..ROUNDS {
            let known: Vec<Pid> = self.strays.iter().map(|stray| stray.pid).collect();
            let instance = self.instance();
            // One that was only late may be started by somebody else by now.
            let tag = self.unproven.as_ref().map(|_| &instance);
            let mut company = proof::company(self.process.pid, tag);
            company.retain(|one| !known.contains(&one.pid));
            if company.is_empty() {
                break;
            }
            for stray in company {
                epoll.add(&stray, self.token(STRAYS))?;
                let _ = match self.phase {
                    Phase::Killed => stray.kill_group(),
                    _ => stray.signal(Signal::TERM),
                };
                self.strays.push(stray);
            }
        }
        Ok(())
    }

    /// Looks which strays have ended.
    pub fn strays_ended(&mut self, epoll: &Epoll) -> io::Result<Step> {
        let mut all = Ok(());
        self.strays.retain(|stray| match stray.has_ended() {
            Ok(ended) => !ended,
            Err(e) => {
                all = Err(e);
                false
            }
        });
        all?;
        if !self.lingers {
            return Ok(self.after_stop());
        }
        Ok(match self.has_company(epoll)? {
            true => Step::Wait,
            false => Step::Done,
        })
    }

    /// Awaits the processes that are left of its session: after a graceful stop, workers finish
    /// their requests when the process that forked them is gone.
    fn has_company(&mut self, epoll: &Epoll) -> io::Result<bool> {
        if self.strays.is_empty() {
            self.strays = proof::company(self.process.pid, None);
            for stray in &self.strays {
                epoll.add(stray, self.token(STRAYS))?;
            }
        }
        Ok(!self.strays.is_empty())
    }

    /// What is left to do while it is being stopped.
    fn after_stop(&self) -> Step {
        if self.has_ended && self.strays.is_empty() {
            Step::Remove(self.failure())
        } else {
            Step::Wait
        }
    }

    fn failure(&self) -> Failure {
        let text = self.head_tail.text();
        match &self.unproven {
            Some(why) => Failure::unproven(why, &text),
            None => Failure::timeout(text),
        }
    }

    fn ready(&self) -> Row {
        let row = self.row.clone();
        if self.head_tail.is_empty() {
            row.with_state(State::Ready)
        } else {
            row.with(State::Ready, Reason::Output, &self.head_tail.text())
        }
    }

    /// Takes its exit status, and the rest of what it printed; a child of its
    /// that holds the output is not waited for.
    pub fn end(&mut self, epoll: &Epoll) -> io::Result<Step> {
        if self.has_ended {
            return Ok(Step::Wait);
        }
        let status: Ended = pidfd::wait(&self.process)?;
        self.has_ended = true;
        self.read(LEFT)?;
        if matches!(self.phase, Phase::Terminated | Phase::Killed) {
            // Its descriptor would be heard of as long as it is open.
            epoll.remove(&self.process)?;
            // It may have begun others meanwhile, or ended without them.
            self.stop_strays(epoll)?;
            return Ok(self.after_stop());
        }
        if status == Ended::Exit(0) && !self.patience.to_the_end && self.phase != Phase::End {
            let company = proof::company(self.process.pid, Some(&self.instance()));
            if !company.is_empty() {
                epoll.remove(&self.process)?;
                return self.stop(epoll, proof::DEPARTED);
            }
        }
        let (row, text) = (self.row.clone(), self.head_tail.text());
        let (row, failure) = failure::ended(row, status, &text);
        self.lingers = self.patience.supervise && self.phase == Phase::End;
        if self.lingers && self.has_company(epoll)? {
            epoll.remove(&self.process)?;
            return Ok(Step::Lingers(row, failure));
        }
        Ok(Step::Last(row, failure))
    }

    /// Does what is to be done when the time is up.
    pub fn time_is_up(&mut self, epoll: &Epoll) -> io::Result<Step> {
        let now = Instant::now();
        if self.phase == Phase::Ready && self.next_look.is_some_and(|look| look <= now) {
            self.next_look = deadline_in(DEPARTURE_LOOK);
            if let Some(output) = &self.output
                && proof::has_departed(&self.process, &self.instance(), output)
            {
                return self.stop(epoll, proof::DEPARTED);
            }
        }
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Ok(Step::Wait);
        }
        if self.phase == Phase::Ready {
            // It may have made it in the last moment.
            let step = self.hear(epoll)?;
            if self.phase != Phase::Ready || !matches!(step, Step::Wait) {
                return Ok(step);
            }
            if self.output.is_none() {
                // It is ending by itself, and its descriptor tells how.
                self.deadline = None;
                return Ok(Step::Wait);
            }
        }
        self.deadline = deadline_in(self.patience.kill_wait);
        match self.phase {
            Phase::Ready => {
                self.phase = Phase::Terminated;
                failpoint::at("not-ready");
                self.process.signal(Signal::TERM)?;
            }
            Phase::Terminated => {
                self.phase = Phase::Killed;
                self.deadline = deadline_in(KILLED_WAIT);
                let own = (!self.has_ended).then_some(&self.process);
                for process in self.strays.iter().chain(own) {
                    // What may not be killed is told of when the time is up.
                    let _ = process.kill_group();
                }
            }
            Phase::Killed => {
                // Not even KILL has ended it, so it keeps its pid file.
                let (row, message) = self.failure().of(self.row.clone());
                return Ok(Step::Last(row, Some(message)));
            }
            Phase::Silent => return self.announce(epoll),
            // It has outlived its words, which its row has told already.
            Phase::Warning => return Ok(Step::Done),
            Phase::End => unreachable!("an end is awaited without a time"),
        }
        Ok(Step::Wait)
    }

    /// Reads what is there, up to a limit; `false` at the end of the output.
    fn read(&mut self, limit: usize) -> io::Result<bool> {
        let Some(output) = &self.output else {
            return Ok(false);
        };
        let mut buffer = [0; 16 * 1024];
        let mut total = 0;
        while total < limit {
            match fd::read(output, &mut buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.head_tail.push(&buffer[..n]);
                    total += n;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

/// Removes the pid file of a server that was ended, unless it was started
/// again meanwhile.
pub fn remove_pid_file(
    row: &Row,
    server: &Server,
    pid_path: &PidPath,
    locks: &Locks,
) -> anyhow::Result<()> {
    let Some(run_dir) = RunDir::open(&pid_path.run_dir)? else {
        return Ok(());
    };
    let instance = Instance {
        server,
        config: row.config.as_deref().unwrap_or(Path::new("")),
        pid_path,
    };
    failpoint::at("timed-out");
    let _guard = locks.take(&run_dir).map_err(anyhow::Error::msg)?;
    pidfile::remove_if_stale(&run_dir, &instance, None)?;
    Ok(())
}
