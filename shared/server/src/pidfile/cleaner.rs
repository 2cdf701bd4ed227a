//! The removal of pid files whose processes have ended, under the run directory's lock, many under one.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::change::remove_in;
use crate::process::Process;
use crate::rundir::{Guard, Locks, RunDir};
use swift_records::instance::Instance;
use swift_sys::error::reason_of;

/// Removes pid files.
#[derive(Default)]
pub struct PidFileCleaner {
    /// The locks of run directories.
    pub locks: Locks,
    /// The run directory whose lock is held.
    locked: Option<(RunDir, Guard)>,
    /// The directory of the last pid file, while that lock is held.
    directory: Option<(PathBuf, OwnedFd)>,
}

impl PidFileCleaner {
    /// Removes a pid file, unless it stands for a process that runs: the server may
    /// have been started again meanwhile. `ended` is the process that was awaited.
    /// The lock is held until [`PidFileCleaner::unlock`].
    pub fn remove(&mut self, instance: &Instance, ended: Option<&Process>) -> Result<(), String> {
        let path = &instance.pid_path.run_dir;
        let is_other = |locked: &(RunDir, Guard)| locked.0.path() != path;
        if self.locked.as_ref().is_some_and(is_other) {
            // Never two locks at once: another process may take them the other way round.
            self.unlock();
        }
        let (run_dir, _) = match &mut self.locked {
            Some(locked) => locked,
            none => {
                let Some(run_dir) = RunDir::open(path).map_err(|e| reason_of(&e))? else {
                    return Ok(());
                };
                let guard = self.locks.take(&run_dir)?;
                none.insert((run_dir, guard))
            }
        };
        let removed = remove_in(&mut self.directory, run_dir, instance, ended);
        removed.map(drop).map_err(|e| reason_of(&e))
    }

    /// Releases the lock.
    pub fn unlock(&mut self) {
        self.locked = None;
        self.directory = None;
    }
}
