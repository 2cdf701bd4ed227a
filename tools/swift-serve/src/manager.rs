//! The manager: one loop that waits for whatever comes first.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use swift_cli::Exit;
use swift_server::check::Checks;
use swift_sys::epoll::{Epoll, deadline_in, min_deadline};
use swift_sys::failpoint;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;
use swift_sys::{fd, session};

use crate::event::{CHECK, FIRST_WORKER, OUTPUT, READY, SIGNALLED, STANDBY, STATUS};
use crate::file::Settings;
use crate::generation::Generation;
use crate::invocation::Invocation;
use crate::log::Log;
use crate::notify::Notifier;
use crate::sockets::{self, Listener};
use crate::state::{Manager, PendingGeneration};
use crate::{environment, file, handover, orphans, pid_file, status};

/// How often an address in use is tried again: nothing tells that it is free.
const BIND_AGAIN: Duration = Duration::from_millis(100);
/// How long it is in use until what a killed manager left behind is ended.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
/// How long an address in use is tried again in a reload, where only a
/// generation that is drained can be in the way.
const BIND_IN_RELOAD: Duration = Duration::from_secs(5);
/// How long a worker that never got ready has, once it was told to leave.
const NEVER_READY: Duration = Duration::from_secs(10);

/// Serves until it is told to stop.
pub fn run(invocation: Invocation, signals: SignalFd) -> anyhow::Result<Exit> {
    let note = environment::handed_over();
    if note.is_some() {
        failpoint::at("after-exec");
    }
    let log = Log::new(&invocation.name(), invocation.server.verbose);
    let mut manager = Manager {
        log,
        epoll: Epoll::new()?,
        signals,
        notifier: Notifier::from_env(log),
        output: <[OwnedFd; 2]>::from(fd::pipe()?),
        status: None,
        number: 0,
        current: None,
        pending: None,
        leaving: Vec::new(),
        again: false,
        is_announced: note.is_some(),
        check: None,
        standbys: Vec::new(),
        verdict: String::new(),
        asked: None,
        failed: None,
        next_worker: FIRST_WORKER,
        null: fd::null()?,
        invocation,
    };
    match note {
        Some(number) => {
            if let Err(e) = handover::take(&mut manager, number) {
                log.error(&format!("cannot take over what was handed over: {e:#}"));
                return Err(e);
            }
            failpoint::at("state-read");
            match file::load_again(&manager.invocation.server) {
                Ok(settings) => manager.begin(settings),
                Err(why) => manager.fail(&why),
            }
        }
        None => {
            let settings = file::load(&manager.invocation.server)?;
            pid_file::begin(&manager.invocation.server)?;
            session::lead();
            manager.open_status();
            manager.watch_all()?;
            manager.begin(settings);
        }
    }
    let outcome = manager.serve();
    pid_file::end(log);
    outcome
}

impl Manager {
    /// Has everything reported that it waits for, on a new watch.
    pub fn watch_all(&mut self) -> io::Result<()> {
        self.epoll = Epoll::new()?;
        fd::set_nonblocking(&self.output[0])?;
        self.epoll.add(&self.signals, SIGNALLED)?;
        self.epoll.add(&self.output[0], OUTPUT)?;
        if let Some(status) = &self.status {
            self.epoll.add(status, STATUS)?;
        }
        for standby in &self.standbys {
            self.epoll.add(&standby.process, STANDBY)?;
        }
        let current = self.current.iter().flat_map(|one| &one.workers);
        for worker in current.chain(&self.leaving) {
            worker.watch(&self.epoll)?;
        }
        Ok(())
    }

    /// Binds the name under which this process is asked how it is.
    pub fn open_status(&mut self) {
        match status::listen() {
            Ok(socket) => self.status = Some(socket),
            Err(e) => self.log.warn(&format!("will not tell its status: {e}")),
        }
    }

    fn serve(&mut self) -> anyhow::Result<Exit> {
        loop {
            self.take_signals()?;
            match self.asked.take() {
                Some(Signal::HUP) => return self.leave(),
                Some(_) => return self.stop(),
                None => {}
            }
            if let Some(why) = self.failed.take() {
                self.end_all(false)?;
                return Err(anyhow!("{why}"));
            }
            self.timers();
            let is_idle = self.pending.is_none() && self.check.is_none();
            if self.again && is_idle && self.current.is_some() {
                self.again = false;
                self.reload();
                continue;
            }
            for token in self.epoll.wait(self.deadline())? {
                self.event(token)?;
            }
        }
    }

    fn take_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.take()? {
            match signal {
                Signal::USR1 => self.again = true,
                // Leaving at once is outdone by ending.
                Signal::HUP if self.asked.is_none() => self.asked = Some(signal),
                Signal::HUP => {}
                _ => self.asked = Some(Signal::TERM),
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let mut deadline = self.check.as_ref().and_then(Checks::deadline);
        if let Some(pending) = &self.pending {
            deadline = min_deadline(deadline, pending.deadline);
        } else if let Some(current) = &self.current {
            deadline = min_deadline(deadline, current.deadline());
        }
        let kills = self.leaving.iter().map(|worker| worker.kill_at);
        kills.fold(deadline, min_deadline)
    }

    fn timers(&mut self) {
        let now = Instant::now();
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for worker in self.leaving.iter_mut().filter(|one| is_over(one.kill_at)) {
            worker.kill_at = None;
            self.log
                .warn(&format!("killing {}: it does not finish", worker.pid()));
            let _ = worker.process.signal(Signal::KILL);
        }
        if self
            .pending
            .as_ref()
            .is_some_and(|one| is_over(one.deadline))
        {
            let timeout = self
                .pending
                .as_ref()
                .map_or(0, |one| one.generation.settings.reload_timeout);
            self.fail(&format!(
                "its workers are not ready after {timeout} seconds"
            ));
        }
        // What takes over after a failed reload has to know every worker of the
        // old generation, so none is replaced meanwhile.
        if self.pending.is_none()
            && let Some(mut current) = self.current.take()
        {
            for slot in current.due() {
                if let Err(why) = self.start_worker(&mut current, slot) {
                    self.log.error(&why);
                    current.slots[slot].failures += 1;
                    current.slots[slot].again_at = deadline_in(Duration::from_secs(1));
                }
            }
            self.current = Some(current);
        }
        if is_over(self.check.as_ref().and_then(Checks::deadline)) {
            self.advance_check();
        }
    }

    fn event(&mut self, token: u64) -> anyhow::Result<()> {
        match token {
            SIGNALLED => {}
            OUTPUT => self.forward_output()?,
            STATUS => status::answer(self),
            CHECK => self.advance_check(),
            STANDBY => self.standbys_ended(),
            _ if token & 1 == READY => self.on_worker_readable(token >> 1)?,
            _ => self.worker_ended(token >> 1),
        }
        Ok(())
    }

    /// Tries to make a generation from these settings.
    pub fn begin(&mut self, settings: Settings) {
        self.number += 1;
        let timeout = self.bind_timeout(&settings) + settings.reload_timeout();
        let is_reload = self.current.is_some();
        let step = if is_reload { "reloading" } else { "starting" };
        let step = format!("{step}: awaiting {} workers", settings.workers);
        self.notifier.step(&step, timeout);
        let listeners = match self.bind(&settings) {
            Ok(listeners) => listeners,
            Err(why) => return self.fail(&why),
        };
        failpoint::at("bound");
        let timeout = settings.reload_timeout();
        let mut generation = Generation::new(self.number, settings, listeners);
        let mut result = Ok(());
        for slot in 0..generation.slots.len() {
            result = self.start_worker(&mut generation, slot);
            if result.is_err() {
                break;
            }
        }
        // A first start has no end but that which its starter sets.
        let deadline = self.current.as_ref().and_then(|_| deadline_in(timeout));
        self.pending = Some(PendingGeneration {
            generation,
            deadline,
        });
        failpoint::at("workers-started");
        match result {
            Ok(()) => self.commit_if_ready(),
            Err(why) => self.fail(&why),
        }
    }

    /// How long an address in use is tried again.
    fn bind_timeout(&self, settings: &Settings) -> Duration {
        let wait = Duration::from_secs(settings.bind_timeout.into());
        match self.current {
            Some(_) => wait.min(BIND_IN_RELOAD),
            None => wait,
        }
    }

    fn bind(&mut self, settings: &Settings) -> Result<Vec<Listener>, String> {
        let begun = Instant::now();
        let is_reload = self.current.is_some();
        let timeout = self.bind_timeout(settings);
        let mut ended_others = is_reload;
        loop {
            let before = self.current.as_ref().map_or(&[][..], |one| &one.listeners);
            match sockets::open(&settings.listen, before) {
                Ok(listeners) => return Ok(listeners),
                Err(refused) if refused.in_use && begun.elapsed() < timeout => {
                    if !ended_others && begun.elapsed() >= LEFT_BEHIND {
                        ended_others = true;
                        let count = orphans::end(&self.invocation, settings.graceful());
                        self.log.warn(&format!(
                            "{:#}: told {count} workers of a dead manager to leave",
                            refused.error
                        ));
                    }
                }
                Err(refused) => return Err(format!("{:#}", refused.error)),
            }
            let wait = Epoll::new().and_then(|epoll| {
                epoll.add(&self.signals, SIGNALLED)?;
                epoll.wait(deadline_in(BIND_AGAIN))
            });
            wait.and_then(|_| self.take_signals())
                .map_err(|e| e.to_string())?;
            if self.asked.is_some() {
                return Err("told to stop".into());
            }
        }
    }

    /// Gives a pending generation up. What serves goes on serving.
    pub fn fail(&mut self, why: &str) {
        let staying = self.current.as_ref().map_or(&[][..], |one| &one.listeners);
        if let Some(pending) = self.pending.take() {
            let generation = pending.generation;
            sockets::discard(&generation.listeners, staying);
            let stale = Duration::from_secs(generation.settings.stale_worker_timeout.into());
            for mut worker in generation.workers {
                let timeout = if worker.was_ready { stale } else { NEVER_READY };
                worker.leave(Some(generation.settings.graceful()), timeout);
                self.leaving.push(worker);
            }
        }
        self.dismiss_standby();
        let Some(current) = &self.current else {
            self.failed = Some(why.to_owned());
            return;
        };
        self.verdict = format!(
            "generation {} serves on, the reload failed: {why}",
            current.number
        );
        self.log.error(&self.verdict);
        let is_announced = std::mem::take(&mut self.is_announced);
        self.notifier.refused(&self.verdict, why, is_announced);
    }

    /// Closes what the server was started with, which says that it is ready.
    pub fn close_output(&self) -> io::Result<()> {
        if self.log.is_console() {
            return Ok(());
        }
        for stdio in [1, 2] {
            fd::take_over(stdio, fd::duplicate(&self.null)?)?;
        }
        Ok(())
    }
}
