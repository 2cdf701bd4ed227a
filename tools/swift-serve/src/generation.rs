//! A generation: settings, the sockets they ask for, and the workers.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use swift_sys::epoll::{deadline_in, min_deadline};
use swift_sys::fd;
use swift_sys::handover::Descriptor;

use crate::file::{Ready, Settings};
use crate::readiness::Expected;
use crate::sockets::Listener;
use crate::worker::{Worker, WorkerState};

/// A worker that has lived that long did not die of its beginning.
const LIVED: u64 = 60;
/// The longest pause before a worker is replaced.
const LONGEST_PAUSE: u64 = 60;

/// A worker's place.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Early deaths of its workers in a row.
    pub failures: u32,
    /// When it is filled again.
    pub again_at: Option<Instant>,
}

/// Workers of one config, on their sockets.
#[derive(Debug, Serialize, Deserialize)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    pub settings: Settings,
    pub listeners: Vec<Listener>,
    pub workers: Vec<Worker>,
    /// The directory in which its workers start.
    pub directory: Option<Descriptor>,
    /// The workers' places.
    #[serde(skip)]
    pub slots: Vec<Slot>,
}

impl Generation {
    /// One without workers yet.
    pub fn new(number: u64, settings: Settings, listeners: Vec<Listener>) -> Generation {
        Generation {
            number,
            slots: vec![Slot::default(); settings.workers as usize],
            settings,
            listeners,
            workers: Vec::new(),
            directory: fd::directory(Path::new(".")).ok().map(Descriptor::from),
        }
    }

    /// True when every slot has a worker that is ready.
    pub fn is_ready(&self) -> bool {
        self.workers.len() == self.slots.len()
            && self
                .workers
                .iter()
                .all(|worker| worker.state == WorkerState::Ready)
    }

    /// How many slots have no worker that is ready.
    pub fn missing(&self) -> usize {
        let is_ready = |one: &&Worker| one.state == WorkerState::Ready;
        let ready = self.workers.iter().filter(is_ready).count();
        self.slots.len().saturating_sub(ready)
    }

    /// Takes a worker out that has ended, and says after how long a pause its
    /// place is filled again: at once the first time, and later and later when
    /// workers keep dying early.
    pub fn lost(&mut self, at: usize) -> (Worker, Duration) {
        let worker = self.workers.remove(at);
        let slot = &mut self.slots[worker.slot];
        if crate::worker::now().saturating_sub(worker.begun) >= LIVED {
            slot.failures = 0;
        }
        let pause = pause(slot.failures);
        slot.failures += 1;
        slot.again_at = deadline_in(pause);
        (worker, pause)
    }

    /// The places whose time has come to be filled again.
    pub fn due(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.again_at.is_some_and(|at| at <= now) {
                slot.again_at = None;
                due.push(number);
            }
        }
        due
    }

    /// Has the places filled that have no worker, as those of a generation that was handed over while
    /// one was missing, and has no worker waited for whose channel is gone.
    pub fn fill_gaps(&mut self) {
        let slots = self.settings.workers as usize;
        self.slots.resize(slots, Slot::default());
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if !self.workers.iter().any(|one| one.slot == number) {
                slot.again_at = Some(Instant::now());
            }
        }
        // A report came, or would have come, to the last image. Only what is seen can still be awaited.
        let is_seen = self.settings.ready == Ready::Accept;
        for worker in self.workers.iter_mut().filter(|one| one.is_unready()) {
            if worker.state == WorkerState::Settling || !is_seen {
                worker.becomes_ready();
            }
        }
    }

    /// Gives a worker a place that has none; `false` when there is no such place.
    pub fn place(&mut self, worker: &mut Worker) -> bool {
        let is_free = |slot: &usize| !self.workers.iter().any(|one| one.slot == *slot);
        let Some(slot) = (0..self.slots.len()).find(is_free) else {
            return false;
        };
        self.slots[slot].again_at = None;
        worker.slot = slot;
        true
    }

    /// When the next place is to be filled.
    pub fn deadline(&self) -> Option<Instant> {
        let times = self.slots.iter().map(|slot| slot.again_at);
        times.fold(None, min_deadline)
    }

    /// Words what the first worker lacks that is not ready.
    pub fn lacks(&self) -> Option<String> {
        let worker = self.workers.iter().find(|one| one.is_unready())?;
        let lacks = worker.proof.lacks(&self.settings, &self.listeners);
        Some(format!("worker {}: {lacks}", worker.pid()))
    }

    /// When it is decided next whether a worker is ready.
    pub fn next_look(&self) -> Option<Instant> {
        let unready = self.workers.iter().filter(|one| one.is_unready());
        unready.fold(None, |at, worker| min_deadline(at, worker.proof.next))
    }

    /// Decides which of its workers are ready by now; `true` when one has just become ready.
    pub fn advance(&mut self, pause_max: Duration, end: Instant) -> bool {
        let now = Instant::now();
        if self.next_look().is_none_or(|at| at > now) {
            return false;
        }
        let (settings, count) = (&self.settings, self.workers.len());
        let expected = Expected::new(settings, &self.listeners, count, pause_max);
        let mut is_changed = false;
        for worker in self.workers.iter_mut().filter(|one| one.is_unready()) {
            if worker.proof.next.is_none_or(|at| at > now) || Instant::now() > end {
                continue;
            }
            if worker.proof.advance(worker.process.pid, &expected) {
                worker.becomes_ready();
                is_changed = true;
            } else if worker.proof.is_reported() {
                (worker.state, worker.was_ready) = (WorkerState::Settling, true);
            }
        }
        is_changed
    }
}

fn pause(failures: u32) -> Duration {
    let seconds = match failures {
        0 => 0,
        n => 1u64.checked_shl(n - 1).unwrap_or(LONGEST_PAUSE),
    };
    Duration::from_secs(seconds.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use swift_server::process::{Pid, Process};

    use super::*;
    use crate::file;
    use crate::options::Server;

    /// A report that was under way is lost with the image that waited for it.
    #[test]
    fn no_worker_is_awaited_over_a_channel_that_is_gone() {
        use WorkerState::{Ready, Settling, Starting};
        for (ready, after) in [("notify", [Ready; 3]), ("accept", [Starting, Ready, Ready])] {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("file");
            let text = "listen = [\"127.0.0.1:8080\"]\ncommand = [\"true\"]\nworkers = 3\n";
            std::fs::write(&file, format!("{text}ready = \"{ready}\"\n")).unwrap();
            let server = Server {
                file,
                conf: None,
                verbose: false,
            };
            let mut generation = Generation::new(1, file::load(&server).unwrap(), Vec::new());
            for (slot, state) in [Starting, Settling, Ready].into_iter().enumerate() {
                let process = Process::open(Pid::own()).unwrap().unwrap();
                let mut worker = Worker::adopted(process, 1);
                (worker.slot, worker.state) = (slot, state);
                generation.workers.push(worker);
            }
            generation.fill_gaps();
            let states: Vec<_> = generation.workers.iter().map(|one| one.state).collect();
            assert_eq!(states, after, "{ready}");
        }
    }

    #[test]
    fn pauses_grow() {
        let seconds = [0, 1, 2, 3, 4, 6, 7, 8, 63, 64, 1000].map(|n| pause(n).as_secs());
        assert_eq!(seconds, [0, 1, 2, 4, 8, 32, 60, 60, 60, 60, 60]);
    }
}
