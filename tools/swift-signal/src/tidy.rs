//! The pid files of what has ended: removed under the run directory's lock, many
//! under one.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use swift_records::catalogue::Server;
use swift_records::instance::{Instance, PidPath, pid_path};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::locks::Locks;
use swift_server::pidfile;
use swift_server::process::Process;
use swift_server::rundir::{Guard, RunDir};
use swift_server::rundirs::RunDirs;
use swift_sys::beneath;
use swift_sys::error::reason_of;
use swift_sys::failpoint;

use crate::act::Done;

/// A process that has ended.
pub struct Ended {
    /// Its row.
    pub row: Row,
    /// What it was.
    pub server: Server,
    /// The state that tells how it ended.
    pub state: State,
    /// Why there was nothing to signal, when there was not.
    pub reason: Option<Reason>,
    /// The process itself, when it was awaited to its end.
    pub process: Option<Process>,
}

/// Removes pid files.
#[derive(Default)]
pub struct Tidier {
    dirs: RunDirs,
    locks: Locks,
}

/// The folder that is at hand. The lock is held as long as this is there.
struct Hold {
    run_dir: PathBuf,
    open: Rc<RunDir>,
    _guard: Guard,
    /// The last folder beneath it, opened once for all its files.
    folder: Option<(PathBuf, OwnedFd)>,
}

impl Tidier {
    /// Forgets which locks were not to be had: what ends from now on has not
    /// waited for them.
    pub fn forget_locks(&mut self) {
        self.locks.forget();
    }

    /// Removes the pid files of all of these. No row is written meanwhile: its
    /// reader may be waiting for the lock.
    pub fn tidy(&mut self, all: Vec<Ended>) -> Vec<Done> {
        let mut hold = None;
        all.into_iter()
            .map(|ended| {
                failpoint::at("ended");
                let removed = self.remove(&ended, &mut hold);
                failpoint::at("removed");
                ended.told(removed)
            })
            .collect()
    }

    /// Removes a row's pid file, unless it stands for a process that runs: the
    /// server may have been started again meanwhile.
    fn remove(&mut self, ended: &Ended, hold: &mut Option<Hold>) -> Result<(), String> {
        let Ended { row, server, .. } = ended;
        let pid_path = pid_path(server, row)?;
        let instance = Instance {
            server,
            config: row.config.as_deref().unwrap_or(Path::new("")),
            pid_path: &pid_path,
        };
        if hold.as_ref().is_none_or(|h| h.run_dir != pid_path.run_dir) {
            // Never two locks at once: somebody may want them the other way round.
            *hold = None;
            *hold = self.hold(&pid_path)?;
        }
        let Some(hold) = hold else {
            return Ok(());
        };
        let removed = match hold.folder_of(&pid_path) {
            Ok(Some((folder, name))) => {
                pidfile::remove_in(folder, name, &instance, ended.process.as_ref())
            }
            Ok(None) => return Ok(()),
            Err(e) => Err(e),
        };
        removed.map(drop).map_err(|e| reason_of(&e))
    }

    /// Takes the lock of a run directory; none when that does not exist.
    fn hold(&mut self, pid_path: &PidPath) -> Result<Option<Hold>, String> {
        let open = self
            .dirs
            .get(&pid_path.run_dir)
            .map_err(|e| reason_of(&e))?;
        let Some(open) = open else {
            return Ok(None);
        };
        let guard = self.locks.take(&open)?;
        Ok(Some(Hold {
            run_dir: pid_path.run_dir.clone(),
            open,
            _guard: guard,
            folder: None,
        }))
    }
}

impl Hold {
    /// The open folder of a pid file, with the file's name; none when there is
    /// no such folder, and so no pid file.
    fn folder_of<'a>(
        &'a mut self,
        pid_path: &'a PidPath,
    ) -> io::Result<Option<(&'a OwnedFd, &'a std::ffi::OsStr)>> {
        let name = pid_path
            .beneath
            .file_name()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let parent = pid_path.beneath.parent().unwrap_or(Path::new(""));
        if self.folder.as_ref().is_none_or(|(path, _)| path != parent) {
            let path = match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            };
            self.folder = match beneath::open_dir(&*self.open, path) {
                Ok(folder) => Some((parent.to_owned(), folder)),
                Err(e) if pidfile::is_no_folder(&e) => None,
                Err(e) => return Err(e),
            };
        }
        Ok(self.folder.as_ref().map(|(_, folder)| (folder, name)))
    }
}

impl Ended {
    /// Its row, after its pid file was removed or could not be.
    fn told(self, removed: Result<(), String>) -> Done {
        let orphan = self.row.is_orphan();
        let row = Row {
            start: None,
            ..self.row
        };
        let state = if orphan { State::Orphan } else { self.state };
        match removed {
            Ok(()) => Done::Row(match self.reason {
                None => row.with_state(state),
                Some(reason) => row.with(state, reason, b""),
            }),
            Err(e) => {
                let why = format!("cannot remove: {e}");
                let path = row.pidfile.as_deref().unwrap_or(Path::new("")).display();
                let what = format!("cannot remove {path}: {e}");
                Done::Failure(row.with(state, Reason::Stale, why.as_bytes()), what)
            }
        }
    }
}
