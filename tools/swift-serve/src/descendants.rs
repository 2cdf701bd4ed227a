//! Processes that workers have started: each becomes a child of the manager when its own parent ends, as
//! all processes of a container do where the manager is process 1.

use swift_server::process::{self, Pid, Process};
use swift_sys::{pidfd, session};

use crate::manager::Manager;
use crate::state::Phase;
use crate::worker::Worker;

impl Manager {
    /// Has the kernel make this process the parent of what workers leave behind.
    pub fn take_in_orphans(&self) {
        if let Err(e) = session::take_in_orphans(true) {
            self.log.warn(&format!("cannot take in orphans: {e}"));
        }
        self.reap_orphans();
    }

    /// Reaps the children that have ended and whose ends are awaited nowhere else.
    pub fn reap_orphans(&self) {
        let children = process::child_numbers(Pid::own()).unwrap_or_default();
        for child in children.into_iter().filter(|child| !self.awaits(*child)) {
            // One that goes on is reaped after its next signal.
            let _ = pidfd::reap(child);
        }
    }

    /// True when the end of this process is awaited, and its exit status taken then.
    fn awaits(&self, pid: Pid) -> bool {
        let is_checked = matches!(&self.phase, Phase::Checking(checks) if checks.has(pid));
        let mut standbys = self.state.standbys.iter();
        is_checked
            || standbys.any(|one| one.process.pid == pid)
            || self.workers().any(|one| one.pid() == pid)
    }

    /// Has what workers have started awaited as they are. Returns `true` when there is something.
    pub fn await_descendants(&mut self) -> bool {
        let workers: Vec<Pid> = self.workers().map(Worker::pid).collect();
        let roots = workers.into_iter().chain([Pid::own()]);
        let found = process::descendants(roots).unwrap_or_default();
        let before = self.state.leaving.len();
        for pid in found {
            if self.awaits(pid) {
                continue;
            }
            let Ok(Some(process)) = Process::open(pid) else {
                continue;
            };
            // A zombie is reaped by its parent.
            if process.has_ended().unwrap_or(true) {
                continue;
            }
            let worker = Worker::adopted(process, 0);
            if worker.watch(&self.epoll).is_ok() {
                self.state.leaving.push(worker);
            }
        }
        self.state.leaving.len() > before
    }
}
