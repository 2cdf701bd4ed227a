//! The locks of run directories, for a tool that has many rows: a lock that was
//! waited for in vain is not waited for again by those that waited all the same.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use swift_sys::error::reason_of;

use crate::rundir::{Guard, RunDir};

/// Which locks were not to be had, and why. It may be shared between threads.
#[derive(Debug, Default)]
pub struct Locks(Mutex<HashMap<PathBuf, String>>);

impl Locks {
    /// Takes the lock of a run directory. The error says in one line why it is
    /// not to be had; at once, when that was found out since [`Locks::forget`].
    pub fn take(&self, run_dir: &RunDir) -> Result<Guard, String> {
        if let Some(why) = self.known().get(run_dir.path()) {
            return Err(why.clone());
        }
        run_dir.lock().map_err(|e| {
            let why = reason_of(&e);
            self.known().insert(run_dir.path().into(), why.clone());
            why
        })
    }

    /// Forgets what was found out: what comes from now on has not waited.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_to_be_had_is_not_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = RunDir::open(folder.path()).unwrap().unwrap();
        let lock = folder.path().join(crate::rundir::LOCK);
        std::fs::create_dir(&lock).unwrap();
        let locks = Locks::default();
        let why = locks.take(&run_dir).unwrap_err();
        assert!(why.ends_with(": Is a directory"), "{why}");
        std::fs::remove_dir(&lock).unwrap();
        assert_eq!(locks.take(&run_dir).unwrap_err(), why);
        locks.forget();
        assert!(locks.take(&run_dir).is_ok());
    }
}
