//! The start of a generation: its sockets, its workers, and its failure.

use std::time::{Duration, Instant};

use swift_sys::epoll::{Epoll, deadline_in};
use swift_sys::failpoint;

use crate::event::SIGNALLED;
use crate::file::{Ready, Settings};
use crate::generation::Generation;
use crate::manager::Manager;
use crate::sockets::{self, Listener};
use crate::state::{PendingGeneration, Phase};

/// The pause between attempts to bind an address in use: no event reports that it is free.
const BIND_AGAIN: Duration = Duration::from_millis(100);
/// The least part of that time during which no orphaned worker is looked for.
const PAUSE_PER_SEARCH: u32 = 10;
/// The longest pause: a search is also long when a manager that is about to end does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The time for which it is in use before the workers of a killed manager are ended.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
/// The longest time that an address in use is tried again in a reload, where only a
/// generation that is drained can be in the way.
const BIND_IN_RELOAD: Duration = Duration::from_secs(5);
/// The time that a worker that never got ready has to leave.
const NEVER_READY: Duration = Duration::from_secs(10);

impl Manager {
    /// Makes a generation from these settings.
    pub fn begin(&mut self, settings: Settings) {
        let is_reload = self.state.current.is_some();
        let timeout = self.bind_timeout(&settings) + settings.reload_timeout();
        let step = if is_reload { "reloading" } else { "starting" };
        let step = format!("{step}: awaiting {} workers", settings.workers);
        self.notifier.step(&step, timeout);
        if !is_reload {
            self.adopt_passed(&settings);
        }
        let listeners = self.bind(&settings);
        // Orphaned workers may have a later number than the last one that this process knows.
        self.state.number += 1;
        let listeners = match listeners {
            Ok(listeners) => listeners,
            Err(why) => return self.fail(&why),
        };
        failpoint::at("bound");
        // A first start has no end but that which its starter sets, unless what is waited for may never
        // show.
        let is_bounded = is_reload || settings.ready == Ready::Accept;
        let deadline = is_bounded.then(|| deadline_in(settings.reload_timeout()));
        let mut generation = Generation::new(self.state.number, settings, listeners);
        let mut slots = 0..generation.slots.len();
        let result = slots.try_for_each(|slot| self.start_worker(&mut generation, slot));
        let pending = Some(PendingGeneration {
            generation,
            deadline: deadline.flatten(),
        });
        self.phase = match is_reload {
            true => Phase::Preparing(pending),
            false => Phase::Starting(pending),
        };
        failpoint::at("workers-started");
        if let Err(why) = result {
            self.fail(&why);
        }
    }

    /// The time for which an address in use is tried again.
    fn bind_timeout(&self, settings: &Settings) -> Duration {
        let wait = Duration::from_secs(settings.bind_timeout.into());
        match self.state.current {
            Some(_) => wait.min(BIND_IN_RELOAD),
            None => wait,
        }
    }

    fn bind(&mut self, settings: &Settings) -> Result<Vec<Listener>, String> {
        let begun = Instant::now();
        let is_reload = self.state.current.is_some();
        let timeout = self.bind_timeout(settings);
        let mut has_given_up = is_reload;
        loop {
            let search = Instant::now();
            if !is_reload {
                self.adopt_orphans(settings);
            }
            let pause = (search.elapsed() * PAUSE_PER_SEARCH).clamp(BIND_AGAIN, PAUSE_MAX);
            match sockets::open(&settings.listen, settings.sockets, self.listeners()) {
                Ok(listeners) => return Ok(listeners),
                Err(refused) if refused.in_use && begun.elapsed() < timeout => {
                    let is_over = begun.elapsed() >= LEFT_BEHIND;
                    if !has_given_up && is_over && self.has_orphans_at(&refused.address) {
                        has_given_up = true;
                        let count = self.give_up_orphans();
                        self.log.warn(&format!(
                            "{:#}: told {count} workers of a dead manager to leave",
                            refused.error
                        ));
                    }
                }
                Err(refused) => return Err(format!("{:#}", refused.error)),
            }
            self.notifier.beat();
            let wait = Epoll::new().and_then(|epoll| {
                epoll.add(&self.signals, SIGNALLED)?;
                epoll.wait(deadline_in(pause))
            });
            wait.and_then(|_| self.take_signals())
                .map_err(|e| e.to_string())?;
            if self.asked.is_some() {
                return Err("told to stop".into());
            }
        }
    }

    /// Gives up the pending generation, or a reload that has none yet. The generation that serves
    /// goes on serving.
    pub fn fail(&mut self, why: &str) {
        let is_announced = matches!(self.phase, Phase::Checking(_) | Phase::Preparing(_));
        let next = match self.state.current {
            Some(_) => Phase::Serving,
            None => Phase::Starting(None),
        };
        let pending = self.phase.enter(next);
        if let Some(generation) = pending {
            sockets::discard(&generation.listeners, self.listeners());
            let settings = &generation.settings;
            let stale = Duration::from_secs(settings.stale_worker_timeout.into());
            for mut worker in generation.workers {
                let timeout = if worker.was_ready { stale } else { NEVER_READY };
                worker.leave(Some(settings.graceful), timeout);
                self.state.leaving.push(worker);
            }
        }
        let Some(current) = &self.state.current else {
            // A signal that asks for the end comes before the failure.
            if self.asked.is_none() {
                self.orphaned = None;
                self.end_all(Err(why.to_owned()), false);
            }
            return;
        };
        self.state.verdict = format!(
            "generation {} serves on, the reload failed: {why}",
            current.number
        );
        self.log.error(&self.state.verdict);
        self.notifier
            .refused(&self.state.verdict, why, is_announced);
    }
}
