//! The processes whose end is awaited.
//!
//! All are signalled first, then awaited. A process that is awaited costs a
//! descriptor; when there are more processes than descriptors, some are let go
//! of and opened again later, which proves them anew.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use shared::process::Process;
use shared::row::Row;
use shared::watch::{Watch, after};

/// One awaited process.
pub struct Job {
    /// Its row.
    pub row: Row,
    /// When the wait for it is over.
    pub until: Option<Instant>,
    /// Whether it was killed already.
    pub killed: bool,
}

/// All of them. Tokens grow, and all wait equally long, so the first of those
/// that are open is also the first whose wait is over.
pub struct Jobs {
    open: BTreeMap<u64, (Job, Process)>,
    parked: VecDeque<Job>,
    at_once: usize,
    next: u64,
}

impl Jobs {
    /// None yet; at most `at_once` of them hold a descriptor.
    pub fn new(at_once: usize) -> Jobs {
        Jobs {
            open: BTreeMap::new(),
            parked: VecDeque::new(),
            at_once,
            next: 1,
        }
    }

    /// Whether nobody is awaited.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.parked.is_empty()
    }

    /// Awaits a process, through its descriptor if there is room.
    pub fn add(&mut self, watch: &Watch, job: Job, process: Process) -> io::Result<()> {
        if self.open.len() >= self.at_once {
            self.parked.push_back(job);
            return Ok(());
        }
        let token = self.next;
        self.next += 1;
        watch.add(&process, token)?;
        self.open.insert(token, (job, process));
        Ok(())
    }

    /// The process that a token of the watch stands for, which is awaited no longer.
    pub fn take(&mut self, token: u64) -> Option<Job> {
        self.open.remove(&token).map(|(job, _)| job)
    }

    /// A process that was let go of, when there is room for it again.
    pub fn take_parked(&mut self) -> Option<Job> {
        if self.open.len() < self.at_once {
            self.parked.pop_front()
        } else {
            None
        }
    }

    /// The moment at which the first wait is over.
    pub fn until(&self) -> Option<Instant> {
        self.open
            .first_key_value()
            .and_then(|(_, (job, _))| job.until)
    }

    /// The processes whose wait is over, which are awaited no longer.
    pub fn take_due(&mut self, watch: &Watch) -> io::Result<Vec<(Job, Process)>> {
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(first) = self.open.first_entry() {
            if first.get().0.until.is_none_or(|until| until > now) {
                break;
            }
            let (job, process) = first.remove();
            watch.remove(&process)?;
            due.push((job, process));
        }
        Ok(due)
    }
}

impl Job {
    /// A process that was signalled just now, and gets that long.
    pub fn new(row: Row, wait: Duration) -> Job {
        Job {
            row,
            until: after(wait),
            killed: false,
        }
    }

    /// The same process after it was killed, with as long again to end.
    pub fn killed(self, wait: Duration) -> Job {
        Job {
            until: after(wait),
            killed: true,
            ..self
        }
    }
}
