//! The processes whose end is awaited.
//!
//! All are signalled first, then awaited. A process that is awaited costs a
//! descriptor; when there are more processes than descriptors, some are let go
//! of and opened again later, which proves them anew.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use swift_records::instance::RowInstance;
use swift_server::actor::Token;
use swift_server::process::Process;
use swift_server::timers::Timers;
use swift_sys::epoll::{Epoll, deadline_in};

/// One awaited process.
pub struct Job {
    /// Its row.
    pub target: RowInstance,
    /// The end of the wait for it.
    pub deadline: Option<Instant>,
    /// True when it was killed already.
    pub killed: bool,
}

/// All of them. Those that were let go of come back late, and those that were
/// killed wait anew, so whose wait is over first goes by the time alone.
pub struct Jobs {
    open: HashMap<u64, (Job, Process)>,
    timers: Timers,
    parked: VecDeque<Job>,
    max_open: usize,
    next: u64,
}

impl Jobs {
    /// None yet; at most `max_open` of them hold a descriptor.
    pub fn new(max_open: usize) -> Jobs {
        Jobs {
            open: HashMap::new(),
            timers: Timers::default(),
            parked: VecDeque::new(),
            max_open,
            next: 1,
        }
    }

    /// True when none is awaited.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.parked.is_empty()
    }

    /// Awaits a process, through its descriptor if there is room and none is parked:
    /// one that was killed and stays is to keep no other from being awaited.
    pub fn add(&mut self, epoll: &Epoll, job: Job, process: Process) -> io::Result<()> {
        if self.open.len() >= self.max_open || !self.parked.is_empty() {
            self.parked.push_back(job);
            return Ok(());
        }
        self.open(epoll, job, process)
    }

    /// Awaits a process of [`Jobs::take_parked`] through its descriptor.
    pub fn open(&mut self, epoll: &Epoll, job: Job, process: Process) -> io::Result<()> {
        let id = self.next;
        self.next += 1;
        let token = Token {
            subject: id,
            part: 0,
        };
        epoll.add(&process, token.into())?;
        self.timers.set(id, job.deadline);
        self.open.insert(id, (job, process));
        Ok(())
    }

    /// The process of a token, which is awaited no longer.
    pub fn take(&mut self, token: Token) -> Option<(Job, Process)> {
        let taken = self.open.remove(&token.subject)?;
        self.timers.set(token.subject, None);
        Some(taken)
    }

    /// A process that was let go of, when there is room for it again.
    pub fn take_parked(&mut self) -> Option<Job> {
        if self.open.len() < self.max_open {
            self.parked.pop_front()
        } else {
            None
        }
    }

    /// The moment at which the first wait is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// The processes whose wait is over, which are awaited no longer.
    pub fn take_due(&mut self, epoll: &Epoll) -> io::Result<Vec<(Job, Process)>> {
        let mut due = Vec::new();
        for id in self.timers.due(Instant::now()) {
            self.timers.set(id, None);
            if let Some((job, process)) = self.open.remove(&id) {
                epoll.remove(&process)?;
                due.push((job, process));
            }
        }
        Ok(due)
    }
}

impl Job {
    /// A process that was signalled just now, and gets that long.
    pub fn new(target: RowInstance, wait: Duration) -> Job {
        Job {
            target,
            deadline: deadline_in(wait),
            killed: false,
        }
    }

    /// The same process after it was killed, with as long again to end.
    pub fn killed(self, wait: Duration) -> Job {
        Job {
            deadline: deadline_in(wait),
            killed: true,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_records::catalogue::Server;
    use swift_records::instance::PidPath;
    use swift_records::row::Row;
    use swift_records::state::State;
    use swift_server::process::Pid;

    fn this() -> Process {
        let me = Pid::own();
        Process::open(me).unwrap().unwrap()
    }

    fn job(name: &str) -> Job {
        let target = RowInstance {
            row: Row::new(name, State::Running),
            server: Server::unlisted(name),
            pid_path: PidPath {
                run_dir: "/run/swift".into(),
                beneath: "1.pid".into(),
            },
        };
        Job::new(target, Duration::ZERO)
    }

    const LONG: Duration = Duration::from_secs(1000);

    /// Fails when the first that is open counts as the first whose wait is over: then one that was let
    /// go of meanwhile is noticed only when the wait for one that was killed before is over, too.
    #[test]
    fn one_that_comes_back_late_is_due_at_once() {
        let (epoll, mut jobs) = (Epoll::new().unwrap(), Jobs::new(2));
        jobs.add(&epoll, job("killed").killed(LONG), this())
            .unwrap();
        jobs.add(&epoll, job("parked"), this()).unwrap();
        assert!(
            jobs.deadline()
                .is_some_and(|deadline| deadline <= Instant::now())
        );
        let due = jobs.take_due(&epoll).unwrap();
        let due: Vec<&str> = due
            .iter()
            .map(|(job, _)| job.target.row.server.as_str())
            .collect();
        assert_eq!(due, ["parked"]);
        assert!(jobs.take_due(&epoll).unwrap().is_empty() && !jobs.is_empty());
    }

    /// Fails when one that was killed gets its place back at once: then the others wait until it is gone.
    #[test]
    fn one_that_was_killed_goes_behind_those_that_wait() {
        let (epoll, mut jobs) = (Epoll::new().unwrap(), Jobs::new(1));
        jobs.add(&epoll, job("first"), this()).unwrap();
        jobs.add(&epoll, job("second"), this()).unwrap();
        let (first, process) = jobs.take_due(&epoll).unwrap().pop().unwrap();
        jobs.add(&epoll, first.killed(LONG), process).unwrap();
        let next = jobs.take_parked().map(|job| job.target.row.server);
        assert_eq!(next.as_deref(), Some("second"));
    }
}
