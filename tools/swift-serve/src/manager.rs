//! The manager: its state, its phase, and what it works with.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use swift_sys::epoll::Epoll;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;

use crate::event::{OUTPUT, SIGNALLED, SIGNALS, STANDBY, STATUS};
use crate::generation::Generation;
use crate::invocation::Invocation;
use crate::log::Log;
use crate::notify::Notifier;
use crate::sockets::Listener;
use crate::state::{Phase, State};
use crate::worker::Worker;

/// The manager.
pub struct Manager {
    /// The command line of this process.
    pub invocation: Invocation,
    /// The log.
    pub log: Log,
    /// Everything that it waits for.
    pub epoll: Epoll,
    /// The signals that have come.
    pub signals: SignalFd,
    /// The client of sd_notify(3) and of Swift's notifications.
    pub notifier: Notifier,
    /// State passed across exec.
    pub state: State,
    /// Workers of a manager that was killed, and their sockets, or those that systemd has passed: they serve
    /// on until the first generation is ready, and are left alone when it fails.
    pub orphaned: Option<Generation>,
    /// The phase.
    pub phase: Phase,
    /// The signal that asks it to end.
    pub asked: Option<Signal>,
    /// When clients of the status are answered again; they are answered now if none.
    pub answers_at: Option<Instant>,
    /// How many workers of the generation that serves were missing when that was last reported.
    pub missing: usize,
    /// /dev/null.
    pub null: OwnedFd,
}

impl Manager {
    /// Has everything reported that it waits for, on a new epoll.
    pub fn watch_all(&mut self) -> io::Result<()> {
        self.epoll = Epoll::new()?;
        let state = &self.state;
        self.epoll.add(&self.signals, SIGNALLED)?;
        self.epoll.add(&state.output[0], OUTPUT)?;
        if let Some(status) = &state.status {
            self.epoll.add(status, STATUS)?;
        }
        for standby in &state.standbys {
            self.epoll.add(&standby.process, STANDBY)?;
        }
        self.watch_listeners()?;
        state.workers().try_for_each(|one| one.watch(&self.epoll))
    }

    /// All workers there are.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        let pending = self.phase.pending().map(|one| &one.generation);
        let others = self.orphaned.iter().chain(pending);
        self.state
            .workers()
            .chain(others.flat_map(|one| &one.workers))
    }

    /// The listening sockets that there are already.
    pub fn listeners(&self) -> &[Listener] {
        let generation = self.state.current.as_ref().or(self.orphaned.as_ref());
        generation.map_or(&[][..], |one| &one.listeners)
    }

    /// Takes in the signals that have come: as many as there can be at a time, since others may send them
    /// faster than they are read.
    pub fn take_signals(&mut self) -> io::Result<()> {
        for _ in SIGNALS {
            let Some(signal) = self.signals.take()? else {
                break;
            };
            match signal {
                Signal::CHLD => self.reap_orphans(),
                Signal::USR1 => self.state.reload_again = true,
                // Leaving at once is outdone by ending.
                Signal::HUP if self.asked.is_none() => self.asked = Some(signal),
                Signal::HUP => {}
                _ => self.asked = Some(Signal::TERM),
            }
        }
        Ok(())
    }
}
