//! A server that was started, until it is ready or has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use swift_records::instance::RowInstance;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::actor::{Report, Token};
use swift_server::head_tail::HeadTail;
use swift_server::pidfile::PidFileCleaner;
use swift_server::process::{self, Process};
use swift_sys::epoll::{Epoll, deadline_in, min_deadline};
use swift_sys::failpoint;
use swift_sys::fd;
use swift_sys::pidfd::{self, Ended};
use swift_sys::signal::Signal;

use crate::company::{self, Company};
use crate::failure::{self, Failure};
use crate::lookup::{self, Lookup};
use crate::options::TOOL;

/// How long a server that printed something is awaited after it is ready
/// (WARNING_WAIT in manager.py): it may have been its last words.
const WARNING_WAIT: Duration = Duration::from_secs(3);

/// How long one that has closed its output without a word is awaited before it
/// counts as ready: some programs close it just before they exit.
const SILENT_WAIT: Duration = Duration::from_millis(20);

/// How long a killed server may take to be gone: the kernel may be busy with it.
const KILLED_WAIT: Duration = Duration::from_secs(15);

/// How often a server that is not ready is inspected, in case it went on in
/// another process while this one keeps its output open, as `setsid -w` does.
/// The kernel has no event for this: neither the process nor its output ends.
const DEPARTURE_INTERVAL: Duration = Duration::from_secs(1);

/// How much is read from one server before the others get their turn.
const READ_BUDGET: usize = 256 * 1024;

/// The most that a pipe can hold (fs.pipe-max-size), and so the most that a
/// process that has ended can leave in it.
const PIPE_MAX: usize = 1024 * 1024;

/// The event for which a server is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server closes its output.
    Ready,
    /// The server ends at once, since it has closed its output and said nothing.
    Silent,
    /// The server ends, however long that takes.
    End,
    /// The server ends soon after it was ready, which it should not.
    Warning,
    /// The server ends after TERM, since it was not ready in time or cannot be found again.
    Terminated,
    /// The server ends after KILL.
    Killed,
    /// The rest of its session ends, as it has itself.
    Lingering,
}

/// How a started server is awaited.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// True when its end is awaited, and not that it is ready.
    pub to_the_end: bool,
    /// True when its end is awaited after it was ready.
    pub supervise: bool,
    /// How long it may take to be ready.
    pub start_timeout: Option<Duration>,
    /// How long it gets to die.
    pub kill_wait: Duration,
}

/// The parts of a server's [`Token`]s: its output, its end, and the ends of its company.
const OUTPUT: u8 = 0;
const END: u8 = 1;
const COMPANY: u8 = 2;

/// The state of the wait for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The wait goes on.
    Awaited,
    /// All that is to be known of it was reported.
    Over,
}

/// The means by which servers are awaited.
pub struct Context<'a> {
    /// The events.
    pub epoll: &'a Epoll,
    /// The rows and messages.
    pub report: &'a mut Report,
    /// The removal of pid files.
    pub cleaner: &'a mut PidFileCleaner,
}

/// A started server that is awaited.
pub struct StartedServer {
    target: RowInstance,
    process: Process,
    /// The pipe of its output, while it has that open.
    pipe: Option<OwnedFd>,
    output: HeadTail,
    phase: Phase,
    deadline: Option<Instant>,
    timeouts: Timeouts,
    /// The next inspection while it is not ready.
    next_inspection: Option<Instant>,
    /// True when it has ended and its status was taken.
    has_ended: bool,
    /// Why it is stopped, when that is not the time that it took.
    unproven: Option<String>,
    /// The processes that are stopped along with it or awaited after it.
    company: Company,
}

impl StartedServer {
    /// A server that was just started, and the subject of its tokens.
    pub fn new(
        target: RowInstance,
        process: Process,
        pipe: Option<OwnedFd>,
        timeouts: Timeouts,
        (epoll, id): (&Epoll, u64),
    ) -> io::Result<StartedServer> {
        let token = |part| u64::from(Token { subject: id, part });
        epoll.add(&process, token(END))?;
        let phase = match &pipe {
            Some(pipe) => {
                epoll.add(pipe, token(OUTPUT))?;
                Phase::Ready
            }
            None => Phase::End,
        };
        let timeout = timeouts.start_timeout.filter(|_| phase == Phase::Ready);
        Ok(StartedServer {
            target,
            company: Company::new(process.pid, token(COMPANY)),
            process,
            pipe,
            output: HeadTail::default(),
            phase,
            deadline: timeout.and_then(deadline_in),
            next_inspection: deadline_in(DEPARTURE_INTERVAL).filter(|_| !timeouts.to_the_end),
            timeouts,
            has_ended: false,
            unproven: None,
        })
    }

    /// The deadline of [`StartedServer::on_deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        let inspection = self.next_inspection.filter(|_| self.phase == Phase::Ready);
        min_deadline(self.deadline, inspection)
    }

    /// No longer awaits an end that may be far away. A server that has just been started
    /// is still awaited until it is ready, since closing its output would kill it.
    pub fn hurry(&mut self, report: &mut Report) -> Progress {
        self.timeouts.to_the_end = false;
        if self.phase != Phase::End {
            return Progress::Awaited;
        }
        report.put(&self.ready());
        Progress::Over
    }

    /// Acts on an event of that part.
    pub fn on_event(&mut self, part: u8, context: &mut Context) -> io::Result<Progress> {
        match part {
            OUTPUT => self.on_readable(context),
            END => self.on_end(context),
            _ => self.on_company_end(context),
        }
    }

    fn enter(&mut self, phase: Phase, wait: Option<Duration>) -> io::Result<Progress> {
        self.phase = phase;
        self.deadline = wait.and_then(deadline_in);
        Ok(Progress::Awaited)
    }

    /// Reads what it has printed, up to a limit; `false` at the end of its output.
    fn read(&mut self, limit: usize) -> io::Result<bool> {
        let Some(pipe) = &self.pipe else {
            return Ok(false);
        };
        fd::drain(pipe, limit, |bytes| self.output.push(bytes))
    }

    /// Takes in what it has printed, or that it prints no more.
    fn on_readable(&mut self, context: &mut Context) -> io::Result<Progress> {
        if self.read(READ_BUDGET)? {
            return Ok(Progress::Awaited);
        }
        failpoint::at("output-ended");
        self.pipe = None;
        if self.phase != Phase::Ready {
            return Ok(Progress::Awaited);
        }
        let stat = process::stat(self.process.pid)?;
        if stat.is_none_or(|stat| stat.is_ending()) {
            // Exit closes a process's files before its pidfd says that it is
            // gone: this is no server that is ready.
            return Ok(Progress::Awaited);
        }
        if self.timeouts.to_the_end {
            return self.enter(Phase::End, None);
        }
        if self.output.is_empty() {
            return self.enter(Phase::Silent, Some(SILENT_WAIT));
        }
        self.announce(context)
    }

    /// Says that it is ready, if the next command will find it.
    fn announce(&mut self, context: &mut Context) -> io::Result<Progress> {
        match lookup::inspect(&self.process, &self.target.instance()) {
            Lookup::Found => {}
            Lookup::Executing => return self.enter(Phase::Silent, Some(SILENT_WAIT)),
            Lookup::Ended => return self.enter(Phase::Silent, None),
            Lookup::NotFound(why) => return self.stop(context, &why),
        }
        context.report.put(&self.ready());
        self.target.row.state = State::Ready;
        if self.timeouts.supervise {
            // What it printed before has nothing to do with its end.
            self.output = HeadTail::default();
            return self.enter(Phase::End, None);
        }
        if self.output.is_empty() {
            return Ok(Progress::Over);
        }
        self.enter(Phase::Warning, Some(WARNING_WAIT))
    }

    fn ready(&self) -> Row {
        let row = self.target.row.clone();
        match self.output.is_empty() {
            true => row.with_state(State::Ready),
            false => row.with(State::Ready, Reason::Output, &self.output.text()),
        }
    }

    /// Ends it and all that belongs to it, since it would not be found again.
    fn stop(&mut self, context: &mut Context, why: &str) -> io::Result<Progress> {
        self.enter(Phase::Terminated, Some(self.timeouts.kill_wait))?;
        self.unproven = Some(why.to_owned());
        if !self.has_ended {
            // One that may not be signalled stays until the deadline, and is reported then.
            let _ = self.process.signal(Signal::TERM);
        }
        self.stop_company(context)
    }

    /// Ends what belongs to it, and comes to the end itself when nothing is left.
    fn stop_company(&mut self, context: &mut Context) -> io::Result<Progress> {
        let instance = self.target.instance();
        // One that was only late may have been started by another command by now.
        let tag = self.unproven.is_some().then_some(&instance);
        let kill = self.phase == Phase::Killed;
        self.company.stop(context.epoll, tag, kill)?;
        Ok(self.after_stop(context))
    }

    /// Removes the pid file and reports the failure once it and its company have ended.
    fn after_stop(&mut self, context: &mut Context) -> Progress {
        if !self.has_ended || !self.company.is_empty() {
            return Progress::Awaited;
        }
        failpoint::at("ended");
        // The lock may have to be waited for.
        context.report.flush();
        failpoint::at("timed-out");
        let removed = context.cleaner.remove(&self.target.instance(), None);
        context.cleaner.unlock();
        if let Err(why) = removed {
            let RowInstance { row, pid_path, .. } = &self.target;
            let path = row
                .pidfile
                .as_deref()
                .unwrap_or(&pid_path.beneath)
                .display();
            TOOL.say(&format!("cannot remove {path}: {why}"));
        }
        self.report_failure(context)
    }

    fn report_failure(&mut self, context: &mut Context) -> Progress {
        let text = self.output.text();
        let failure = match &self.unproven {
            Some(why) => Failure::unproven(why, &text),
            None => Failure::timeout(text),
        };
        context
            .report
            .put_outcome(&failure.of(self.target.row.clone()));
        Progress::Over
    }

    /// Forgets which members of its company have ended.
    fn on_company_end(&mut self, context: &mut Context) -> io::Result<Progress> {
        self.company.forget_ended();
        if self.phase != Phase::Lingering {
            return Ok(self.after_stop(context));
        }
        Ok(match self.company.is_left(context.epoll)? {
            true => Progress::Awaited,
            false => Progress::Over,
        })
    }

    /// Takes its exit status, and the rest of what it printed; a child of its
    /// that holds the output is not waited for.
    fn on_end(&mut self, context: &mut Context) -> io::Result<Progress> {
        if self.has_ended {
            return Ok(Progress::Awaited);
        }
        let status = pidfd::wait(&self.process)?;
        self.has_ended = true;
        // Its descriptor is readable as long as it is open.
        context.epoll.remove(&self.process)?;
        self.read(PIPE_MAX)?;
        if matches!(self.phase, Phase::Terminated | Phase::Killed) {
            // It may have begun others meanwhile, or ended without them.
            return self.stop_company(context);
        }
        let may_depart = !self.timeouts.to_the_end && self.phase != Phase::End;
        if status == Ended::Exit(0) && may_depart {
            let instance = self.target.instance();
            if !company::find(self.process.pid, Some(&instance)).is_empty() {
                return self.stop(context, lookup::DEPARTED);
            }
        }
        let row = self.target.row.clone();
        let outcome = failure::ended(row, status, &self.output.text());
        context.report.put_outcome(&outcome);
        let lingers = self.timeouts.supervise && self.phase == Phase::End;
        if lingers && self.company.is_left(context.epoll)? {
            return self.enter(Phase::Lingering, None);
        }
        Ok(Progress::Over)
    }

    /// Acts when its deadline has come.
    pub fn on_deadline(&mut self, context: &mut Context) -> io::Result<Progress> {
        let now = Instant::now();
        if self.phase == Phase::Ready && self.next_inspection.is_some_and(|at| at <= now) {
            self.next_inspection = deadline_in(DEPARTURE_INTERVAL);
            let instance = self.target.instance();
            let departed = |pipe| lookup::has_departed(&self.process, &instance, pipe);
            if self.pipe.as_ref().is_some_and(departed) {
                return self.stop(context, lookup::DEPARTED);
            }
        }
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Ok(Progress::Awaited);
        }
        match self.phase {
            Phase::Ready => self.terminate(context),
            Phase::Terminated => {
                self.company.kill();
                if !self.has_ended {
                    // One that may not be killed is reported at the deadline.
                    let _ = self.process.kill_group();
                }
                self.enter(Phase::Killed, Some(KILLED_WAIT))
            }
            // Not even KILL has ended it, so it keeps its pid file.
            Phase::Killed => Ok(self.report_failure(context)),
            Phase::Silent => self.announce(context),
            // It has outlived its words, which its row has reported already.
            Phase::Warning => Ok(Progress::Over),
            Phase::End | Phase::Lingering => unreachable!("an end is awaited without a deadline"),
        }
    }

    /// Ends it, since it was not ready in time.
    fn terminate(&mut self, context: &mut Context) -> io::Result<Progress> {
        // It may have made it in the last moment.
        let progress = self.on_readable(context)?;
        if self.phase != Phase::Ready || progress == Progress::Over {
            return Ok(progress);
        }
        if self.pipe.is_none() {
            // It is ending by itself, and its descriptor tells how.
            self.deadline = None;
            return Ok(progress);
        }
        failpoint::at("not-ready");
        self.process.signal(Signal::TERM)?;
        self.enter(Phase::Terminated, Some(self.timeouts.kill_wait))
    }
}
