//! The removal of pid files whose processes have ended, under the run directory's lock, many under one.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use swift_records::instance::Instance;
use swift_server::pidfile;
use swift_server::process::Process;
use swift_server::rundir::{Guard, Locks, RunDirs};
use swift_sys::error::reason_of;

/// Removes pid files.
#[derive(Default)]
pub struct PidFileCleaner {
    run_dirs: RunDirs,
    locks: Locks,
    /// The run directory whose lock is held.
    locked: Option<(PathBuf, Guard)>,
    /// The directory of the last pid file, while that lock is held.
    directory: Option<(PathBuf, OwnedFd)>,
}

impl PidFileCleaner {
    /// Forgets which locks could not be acquired: what ends from now on has not
    /// waited for them.
    pub fn forget_locks(&mut self) {
        self.locks.forget();
    }

    /// Removes a pid file, unless it stands for a process that runs: the server may
    /// have been started again meanwhile. `ended` is the process that was awaited.
    /// The lock is held until [`PidFileCleaner::unlock`].
    pub fn remove(&mut self, instance: &Instance, ended: Option<&Process>) -> Result<(), String> {
        let path = &instance.pid_path.run_dir;
        let run_dir = self.run_dirs.get(path).map_err(|e| reason_of(&e))?;
        let Some(run_dir) = run_dir else {
            return Ok(());
        };
        if self
            .locked
            .as_ref()
            .is_none_or(|(locked, _)| locked != path)
        {
            // Never two locks at once: another process may take them the other way round.
            self.unlock();
            self.locked = Some((path.clone(), self.locks.take(&run_dir)?));
        }
        let removed = pidfile::remove_in(&mut self.directory, &run_dir, instance, ended);
        removed.map(drop).map_err(|e| reason_of(&e))
    }

    /// Releases the lock.
    pub fn unlock(&mut self) {
        self.locked = None;
        self.directory = None;
    }
}
