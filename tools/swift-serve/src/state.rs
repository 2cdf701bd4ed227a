//! The manager's state, and what can be said of it at once.

use std::os::fd::OwnedFd;
use std::time::Instant;

use swift_server::check::Checks;
use swift_sys::epoll::Epoll;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;

use crate::generation::Generation;
use crate::invocation::Invocation;
use crate::log::Log;
use crate::notify::Notifier;
use crate::standby::Standby;
use crate::worker::Worker;

/// A generation that is not ready yet.
#[derive(Debug)]
pub struct PendingGeneration {
    /// The generation.
    pub generation: Generation,
    /// When it has failed unless it is ready.
    pub deadline: Option<Instant>,
}

/// The manager's state.
pub struct Manager {
    /// How this process was executed.
    pub invocation: Invocation,
    /// Where it logs.
    pub log: Log,
    /// What it waits for.
    pub epoll: Epoll,
    /// The signals that have come.
    pub signals: SignalFd,
    /// Whom it tells of itself.
    pub notifier: Notifier,
    /// The pipe into which the workers print, both ends: so that it never ends.
    pub output: [OwnedFd; 2],
    /// Where it is asked how it is.
    pub status: Option<OwnedFd>,
    /// The number of the last generation that was begun.
    pub number: u64,
    /// What serves; none until the first one is ready.
    pub current: Option<Generation>,
    /// What is to take its place.
    pub pending: Option<PendingGeneration>,
    /// Workers that were told to leave.
    pub leaving: Vec<Worker>,
    /// Whether one more reload is to follow.
    pub again: bool,
    /// True when systemd was told that a reload goes on.
    pub is_announced: bool,
    /// The check of the config of a reload.
    pub check: Option<Checks>,
    /// The standbys, the last of which may be waiting for the verdict.
    pub standbys: Vec<Standby>,
    /// How the last reload has ended.
    pub verdict: String,
    /// The signal that ends it.
    pub asked: Option<Signal>,
    /// Why there will be no first generation.
    pub failed: Option<String>,
    /// The number of the next worker.
    pub next_worker: u64,
    /// /dev/null.
    pub null: OwnedFd,
}

impl Manager {
    /// The number of the next worker.
    pub fn next_id(&mut self) -> u64 {
        self.next_worker += 1;
        self.next_worker - 1
    }

    /// All workers there are.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        let pending = self.pending.iter().flat_map(|one| &one.generation.workers);
        let current = self.current.iter().flat_map(|one| &one.workers);
        current.chain(pending).chain(&self.leaving)
    }

    /// Whether any worker is not told to leave.
    pub fn is_reloading(&self) -> bool {
        self.check.is_some() || (self.pending.is_some() && self.current.is_some())
    }
}
