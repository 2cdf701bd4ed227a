//! The manager's loop, which waits for whatever comes first.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use swift_cli::Exit;
use swift_sys::epoll::{Epoll, deadline_in, min_deadline};
use swift_sys::failpoint;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;
use swift_sys::{fd, session};

use crate::event::{CHECK, LISTENER, OUTPUT, READY, SIGNALLED, STANDBY, STATUS};
use crate::generation::Generation;
use crate::invocation::Invocation;
use crate::log::Log;
use crate::manager::Manager;
use crate::notify::Notifier;
use crate::state::{PendingGeneration, Phase, State};
use crate::{environment, file, pid_file, status};

/// Serves until it is told to stop.
pub fn run(invocation: Invocation, signals: SignalFd) -> anyhow::Result<Exit> {
    let memfd = environment::handed_over();
    let log = Log::new(&invocation.name(), invocation.server.verbose);
    let (state, phase) = match memfd {
        Some(memfd) => {
            failpoint::at("after-exec");
            let state = State::read(memfd).inspect_err(|e| {
                log.error(&format!("cannot take over what was handed over: {e:#}"));
            })?;
            (state, Phase::Preparing(None))
        }
        None => (State::new()?, Phase::Starting(None)),
    };
    let mut manager = Manager {
        log,
        epoll: Epoll::new()?,
        signals,
        notifier: Notifier::from_env(log),
        state,
        orphaned: None,
        phase,
        asked: None,
        answers_at: None,
        missing: 0,
        null: fd::null()?,
        invocation,
    };
    manager.take_in_orphans();
    if memfd.is_some() {
        manager.watch_all()?;
        failpoint::at("state-read");
        match file::load(&manager.invocation.server) {
            Ok(settings) => manager.begin(settings),
            Err(e) => manager.fail(&format!("{e:#}")),
        }
    } else {
        let settings = file::load(&manager.invocation.server)?;
        pid_file::begin(&manager.invocation.server)?;
        session::lead();
        manager.open_status();
        manager.watch_all()?;
        manager.begin(settings);
    }
    let outcome = manager.serve();
    pid_file::end(log);
    outcome
}

impl Manager {
    fn serve(&mut self) -> anyhow::Result<Exit> {
        loop {
            self.take_signals()?;
            match &self.phase {
                Phase::Stopping(outcome) if self.state.leaving.is_empty() => {
                    let outcome = outcome.clone();
                    if self.kill_descendants() {
                        continue;
                    }
                    return outcome.map(|()| Exit::Ok).map_err(|why| anyhow!(why));
                }
                Phase::Stopping(_) => {}
                _ => match self.asked.take() {
                    Some(Signal::HUP) => return self.leave(),
                    Some(_) => {
                        self.stop();
                        continue;
                    }
                    None => {}
                },
            }
            self.timers();
            if matches!(self.phase, Phase::Serving) && self.state.leaving.is_empty() {
                self.retire_standby();
            }
            if self.state.reload_again && matches!(self.phase, Phase::Serving) {
                self.state.reload_again = false;
                self.reload();
                continue;
            }
            self.report_workers();
            for token in self.epoll.wait(self.deadline())? {
                self.event(token)?;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let current = self.state.current.as_ref();
        let replacement = current.and_then(|one| one.deadline());
        let next_look = current.and_then(Generation::next_look);
        let deadline = match &self.phase {
            Phase::Starting(pending) | Phase::Preparing(pending) => {
                pending.as_ref().and_then(PendingGeneration::next_deadline)
            }
            Phase::Checking(checks) => min_deadline(checks.deadline(), replacement),
            Phase::Serving => replacement,
            Phase::Stopping(_) => None,
        };
        let deadline = min_deadline(deadline, self.notifier.next_beat());
        let kills = self.state.leaving.iter().map(|worker| worker.kill_at);
        let deadline = min_deadline(min_deadline(deadline, next_look), self.answers_at);
        kills.fold(deadline, min_deadline)
    }

    fn timers(&mut self) {
        let now = Instant::now();
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        self.notifier.beat();
        self.advance_workers();
        if is_over(self.answers_at) {
            self.answers_at = None;
            self.answer_status(status::MANAGER);
        }
        let what = match self.phase {
            Phase::Stopping(_) => "end",
            _ => "finish",
        };
        let leaving = self.state.leaving.iter_mut();
        for worker in leaving.filter(|one| is_over(one.kill_at)) {
            worker.kill_at = None;
            self.log
                .warn(&format!("killing {}: it does not {what}", worker.pid()));
            let _ = worker.process.signal(Signal::KILL);
        }
        match &self.phase {
            Phase::Starting(Some(pending)) | Phase::Preparing(Some(pending))
                if is_over(pending.deadline) =>
            {
                let timeout = pending.generation.settings.reload_timeout;
                let lacks = pending.generation.lacks().unwrap_or_default();
                self.fail(&format!(
                    "its workers are not ready after {timeout} seconds: {lacks}"
                ));
            }
            Phase::Checking(checks) => {
                let is_over = is_over(checks.deadline());
                self.replace_workers();
                if is_over {
                    self.advance_check();
                }
            }
            Phase::Serving => self.replace_workers(),
            _ => {}
        }
    }

    /// Fills the places of workers that have ended. Not while a new generation starts, which is to take
    /// their places.
    fn replace_workers(&mut self) {
        let Some(mut current) = self.state.current.take() else {
            return;
        };
        for slot in current.due() {
            if let Err(why) = self.start_worker(&mut current, slot) {
                self.log.error(&why);
                current.slots[slot].failures += 1;
                current.slots[slot].again_at = deadline_in(Duration::from_secs(1));
            }
        }
        self.state.current = Some(current);
    }

    fn event(&mut self, token: u64) -> anyhow::Result<()> {
        match token {
            SIGNALLED => {}
            OUTPUT => self.forward_output()?,
            STATUS => self.answer_status(status::MANAGER),
            CHECK => self.advance_check(),
            STANDBY => self.on_standby_end(),
            LISTENER => self.mend_listeners(),
            _ if token & 1 == READY => self.on_worker_readable(token >> 1)?,
            _ => self.on_worker_end(token >> 1),
        }
        Ok(())
    }
}
