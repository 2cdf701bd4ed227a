//! Run directories, which hold pid files, and the locks under which these are changed.
//!
//! The directory may belong to a user who is not to be trusted, so what lies in
//! it is only reached through [`swift_sys::beneath`].

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg};

use swift_sys::beneath;
use swift_sys::error::reason_of;

/// The lock's name. It begins with a dot, since the original's swift-init
/// removes everything that is named after a server.
pub const LOCK: &str = ".swift-init.lock";

/// How long the lock is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// An open run directory.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    dir: OwnedFd,
}

/// The lock, released when this is dropped. While it is held no row may be
/// written: the reader of our rows may be waiting for the lock.
pub type Guard = Flock<OwnedFd>;

impl AsFd for RunDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl RunDir {
    /// Opens the directory; none when it does not exist.
    pub fn open(path: &Path) -> io::Result<Option<RunDir>> {
        // Whatever lies there is not waited for, as a fifo would be.
        let dir = std::fs::File::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK)
            .open(path);
        let dir = match dir {
            Ok(file) => OwnedFd::from(file),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return absent(path),
            Err(e) => return Err(e),
        };
        Ok(Some(RunDir {
            path: path.to_owned(),
            dir,
        }))
    }

    /// Opens the directory, and makes it first when it does not exist.
    pub fn create(path: &Path) -> io::Result<RunDir> {
        if let Some(run_dir) = RunDir::open(path)? {
            return Ok(run_dir);
        }
        beneath::create_trusted_dirs(path)?;
        RunDir::open(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The directory's path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock, and waits for it at most [`LOCK_WAIT`]. The error names
    /// the lock.
    pub fn lock(&self) -> anyhow::Result<Guard> {
        self.lock_within(LOCK_WAIT)
    }

    fn lock_within(&self, wait: Duration) -> anyhow::Result<Guard> {
        let name = self.path.join(LOCK);
        let cannot = || format!("cannot lock {}", name.display());
        let begin = Instant::now();
        loop {
            let lock = self.open_lock().with_context(cannot)?;
            // Removing the file again and again makes nothing wait longer.
            let left = wait.saturating_sub(begin.elapsed());
            let Some(guard) = acquire(lock, left).with_context(cannot)? else {
                let (name, wait) = (name.display(), wait.as_secs_f32());
                bail!("{name} is held by another process for {wait} s");
            };
            // The file may have been removed, renamed or replaced before it was
            // locked: the next process would lock another file.
            if self.is_at_its_name(&guard)? {
                self.in_place().with_context(cannot)?;
                return Ok(guard);
            }
            if begin.elapsed() > wait {
                bail!("{} is replaced again and again", name.display());
            }
        }
    }

    /// True when a file is what the lock's name leads to.
    fn is_at_its_name(&self, lock: &OwnedFd) -> io::Result<bool> {
        let own = beneath::status(lock)?;
        match nix::sys::stat::fstatat(&self.dir, LOCK, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(now) => Ok((now.st_dev, now.st_ino) == (own.st_dev, own.st_ino)),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Fails when the path no longer leads to this directory: files in one that
    /// was renamed or unmounted meanwhile are never found.
    fn in_place(&self) -> io::Result<()> {
        let (now, own) = (std::fs::metadata(&self.path)?, beneath::status(&self.dir)?);
        if (now.dev(), now.ino()) == (own.st_dev, own.st_ino) {
            Ok(())
        } else {
            Err(io::Error::other("another directory is in its place"))
        }
    }

    /// Opens the lock file. Each lock is another open file, since a thread that waited too long unlocks
    /// its own in the end.
    fn open_lock(&self) -> io::Result<OwnedFd> {
        let file = beneath::open_or_create(&self.dir, Path::new(LOCK))?;
        match beneath::status(&file)?.st_mode & libc::S_IFMT {
            libc::S_IFREG => Ok(file),
            _ => Err(io::Error::other("not a regular file")),
        }
    }
}

/// Tells a path that is missing from one with a link on its way whose target is:
/// what that leads to when it is there again is not known.
fn absent(path: &Path) -> io::Result<Option<RunDir>> {
    let on_the_way = |part: &&Path| std::fs::symlink_metadata(part).is_ok();
    match path.ancestors().find(on_the_way) {
        Some(part) if part.is_symlink() && !part.exists() => Err(io::Error::other(format!(
            "{} is a symbolic link that leads nowhere",
            part.display()
        ))),
        _ => Ok(None),
    }
}

/// Takes a lock within a time; none when the time is over.
fn acquire(lock: OwnedFd, wait: Duration) -> io::Result<Option<Guard>> {
    let lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
        Ok(guard) => return Ok(Some(guard)),
        Err((lock, Errno::EWOULDBLOCK)) => lock,
        Err((_, e)) => return Err(e.into()),
    };
    // flock(2) has no timeout, so a thread waits in it. A lock that it gets too
    // late is dropped, and so released, at once.
    let (send, receive) = mpsc::sync_channel(0);
    std::thread::Builder::new()
        .spawn(move || drop(send.send(Flock::lock(lock, FlockArg::LockExclusive))))?;
    match receive.recv_timeout(wait) {
        Ok(result) => result.map(Some).map_err(|(_, e)| e.into()),
        Err(_) => Ok(None),
    }
}

/// The run directories that rows lead to, each opened once.
#[derive(Debug, Default)]
pub struct RunDirs(HashMap<PathBuf, RunDir>);

impl RunDirs {
    /// The directory of that path; none when it does not exist.
    pub fn get(&mut self, path: &Path) -> io::Result<Option<&RunDir>> {
        if !self.0.contains_key(path) {
            let opened = RunDir::open(path)?;
            self.0.extend(opened.map(|opened| (path.into(), opened)));
        }
        Ok(self.0.get(path))
    }
}

/// The locks of run directories, for a tool that has many rows: rows that waited together wait for
/// a lock once. It may be shared between threads. It holds the locks that could not be acquired, and why.
#[derive(Debug, Default)]
pub struct Locks(Mutex<HashMap<PathBuf, String>>);

impl Locks {
    /// Takes the lock of a run directory. The error says in one line why it could not be acquired;
    /// at once, when that was found out since [`Locks::forget`].
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

    /// Forgets what was found out: rows that come from now on have not waited.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_sys::both_ways::both_ways;

    #[test]
    fn one_holds_the_lock_at_a_time() {
        both_ways(|| {
            let directory = tempfile::tempdir().unwrap();
            let one = RunDir::open(directory.path()).unwrap().unwrap();
            let two = RunDir::open(directory.path()).unwrap().unwrap();
            let guard = one.lock().unwrap();
            let error = two
                .lock_within(Duration::from_millis(1))
                .unwrap_err()
                .to_string();
            assert!(error.contains(LOCK), "{error}");
            let waiting = std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    RunDir::open(directory.path())
                        .unwrap()
                        .unwrap()
                        .lock()
                        .is_ok()
                });
                drop(guard);
                waiter.join().unwrap()
            });
            assert!(waiting);
            assert!(two.lock_within(Duration::from_secs(5)).is_ok());
        });
    }

    #[test]
    fn who_gave_up_waiting_takes_nothing_from_who_waits_again() {
        let directory = tempfile::tempdir().unwrap();
        let [holder, waiter, other] =
            [(); 3].map(|()| RunDir::open(directory.path()).unwrap().unwrap());
        let guard = holder.lock().unwrap();
        for _ in 0..32 {
            assert!(waiter.lock_within(Duration::from_millis(1)).is_err());
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                drop(guard);
            });
            let _guard = waiter.lock_within(Duration::from_secs(5)).unwrap();
            assert!(other.lock_within(Duration::from_millis(100)).is_err());
        });
    }

    #[test]
    fn a_lock_that_was_removed_is_no_lock() {
        both_ways(|| {
            let directory = tempfile::tempdir().unwrap();
            let run_dir = RunDir::open(directory.path()).unwrap().unwrap();
            drop(run_dir.lock().unwrap());
            std::fs::remove_file(directory.path().join(LOCK)).unwrap();
            let _guard = run_dir.lock().unwrap();
            assert!(directory.path().join(LOCK).exists());
        });
    }

    /// Fails when the file that was opened once counts as the lock, wherever it lies by now: two
    /// hold a lock then, of two files.
    #[test]
    fn a_lock_that_was_renamed_or_replaced_is_no_lock() {
        both_ways(|| {
            for is_replaced in [false, true] {
                let directory = tempfile::tempdir().unwrap();
                let [early, late] =
                    [(); 2].map(|()| RunDir::open(directory.path()).unwrap().unwrap());
                let path = directory.path().join(LOCK);
                drop(early.lock().unwrap());
                std::fs::rename(&path, directory.path().join("away")).unwrap();
                if is_replaced {
                    std::fs::write(&path, "").unwrap();
                }
                let guard = late.lock().unwrap();
                assert!(early.lock_within(Duration::from_millis(1)).is_err());
                drop(guard);
                let _guard = early.lock().unwrap();
                assert!(late.lock_within(Duration::from_millis(1)).is_err());
            }
        });
    }

    #[test]
    fn a_link_in_the_locks_place_is_not_followed() {
        both_ways(|| {
            let directory = tempfile::tempdir().unwrap();
            let target = directory.path().join("target");
            std::os::unix::fs::symlink(&target, directory.path().join(LOCK)).unwrap();
            let run_dir = RunDir::open(directory.path()).unwrap().unwrap();
            assert!(run_dir.lock().is_err());
            assert!(!target.exists());
        });
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_missing_directory() {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = directory.path().join("run/swift");
        assert!(RunDir::open(&run_dir).unwrap().is_none());
        std::os::unix::fs::symlink("gone", directory.path().join("run")).unwrap();
        let told = RunDir::open(&run_dir).unwrap_err().to_string();
        assert!(
            told.ends_with("/run is a symbolic link that leads nowhere"),
            "{told}"
        );
        std::fs::create_dir(directory.path().join("gone")).unwrap();
        assert!(RunDir::open(&run_dir).unwrap().is_none());
        assert!(RunDir::open(Path::new("")).unwrap().is_none());
    }

    #[test]
    fn what_was_not_to_be_had_is_not_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = RunDir::open(directory.path()).unwrap().unwrap();
        let lock = directory.path().join(LOCK);
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
