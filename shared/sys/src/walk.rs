//! Opening beneath a directory, component by component, where openat2(2) is refused: seccomp filters
//! answer ENOSYS (`RestrictSUIDSGID=` of systemd.exec(5), since they cannot look at the mode behind a
//! pointer) or EPERM (older container runtimes), and kernels before 5.6 do not know it.
//!
//! Each component is opened with O_PATH and O_NOFOLLOW and looked at before the next one, so the promise
//! is the same: no link is followed and no path leads out. `..` is refused even where it would stay
//! inside. What is neither a file nor a directory is not opened at all: a descriptor for its place is
//! returned, which only `beneath::status` can use.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, fstat};

use super::fd::retry;
use super::openat2;

/// True when openat2(2) was found to be refused. Filters are for the life of a process, so one answer
/// holds.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// True when openat2(2) is known to be refused.
pub fn is_needed() -> bool {
    #[cfg(any(test, feature = "without-openat2"))]
    if super::both_ways::FORCED.get() {
        return true;
    }
    REFUSED.load(Ordering::Relaxed)
}

/// True when an error of openat2(2) is the answer of who refuses the call. EPERM may also be an immutable
/// file's own: opening the directory itself with O_PATH, which asks for no permission, tells them apart.
pub fn is_refusal(error: Errno, dir: BorrowedFd) -> bool {
    if !matches!(error, Errno::ENOSYS | Errno::EPERM) {
        return false;
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let probe = openat2::beneath(dir, Path::new("."), flags, Mode::empty());
    let refused = probe.is_err_and(|e| e == error);
    if refused {
        REFUSED.store(true, Ordering::Relaxed);
    }
    refused
}

/// Opens a path beneath a directory, with the errors of openat2(2).
pub fn open(dir: BorrowedFd, path: &Path, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
    Ok(walk(dir, path, flags | OFlag::O_CLOEXEC, mode)?)
}

fn walk(dir: BorrowedFd, path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    if path.as_os_str().len() >= libc::PATH_MAX as usize {
        return Err(Errno::ENAMETOOLONG);
    }
    let bytes = path.as_os_str().as_bytes();
    if path.is_absolute() {
        return Err(Errno::EXDEV);
    }
    let of_directory = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
    let flags = match of_directory {
        true => flags | OFlag::O_DIRECTORY,
        false => flags,
    };
    let mut components = path.components().peekable();
    if components.peek().is_none() {
        return Err(Errno::ENOENT);
    }
    let mut current: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        let name = match component {
            Component::Normal(name) => Path::new(name),
            Component::CurDir => Path::new("."),
            _ => return Err(Errno::EXDEV),
        };
        let here = current.as_ref().map_or(dir, |fd| fd.as_fd());
        if components.peek().is_none() {
            return open_last(here, name, flags, mode);
        }
        let next = look_at(here, name)?;
        match kind_of(&next)? {
            SFlag::S_IFDIR => current = Some(next),
            SFlag::S_IFLNK => return Err(Errno::ELOOP),
            _ => return Err(Errno::ENOTDIR),
        }
    }
    unreachable!("the last component returns")
}

fn open_last(here: BorrowedFd, name: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    if flags.contains(OFlag::O_CREAT | OFlag::O_EXCL) {
        // With O_EXCL whatever lies there is refused, a link too.
        return retry(|| openat(here, name, flags | OFlag::O_NOFOLLOW, mode));
    }
    let place = look_at(here, name)?;
    match kind_of(&place)? {
        SFlag::S_IFLNK => Err(Errno::ELOOP),
        SFlag::S_IFDIR => retry(|| openat(&place, c".", flags, mode)),
        _ if flags.contains(OFlag::O_DIRECTORY) => Err(Errno::ENOTDIR),
        SFlag::S_IFSOCK => Err(Errno::ENXIO),
        // Something else may be there by now: a link is refused, and nothing is waited for.
        SFlag::S_IFREG => {
            let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            retry(|| openat(here, name, flags, mode))
        }
        // Opening a fifo wakes who waits for a reader, and opening a device may do anything.
        _ => Ok(place),
    }
}

/// Opens a name without opening what bears it.
fn look_at(here: BorrowedFd, name: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    retry(|| openat(here, name.as_os_str().as_bytes(), flags, Mode::empty()))
}

fn kind_of(place: &OwnedFd) -> Result<SFlag, Errno> {
    let mode = fstat(place)?.st_mode;
    Ok(SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a directory that stands for a run directory.
    fn furnish(here: &Path) {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        std::fs::create_dir_all(here.join("dir/deep")).unwrap();
        for file in ["file", "dir/deep/file"] {
            std::fs::write(here.join(file), "1").unwrap();
        }
        for (target, link) in [
            ("file", "link"),
            ("dir", "link-to-dir"),
            ("nowhere", "dangling"),
            ("/etc", "dir/out"),
            ("/proc/self/root", "magic"),
        ] {
            symlink(target, here.join(link)).unwrap();
        }
        nix::unistd::mkfifo(&here.join("fifo"), Mode::S_IRWXU).unwrap();
        drop(UnixListener::bind(here.join("socket")).unwrap());
    }

    /// The kind of what was opened, or the number of the error.
    fn outcome(result: io::Result<OwnedFd>) -> Result<SFlag, Option<i32>> {
        let opened = result.map_err(|e| e.raw_os_error())?;
        Ok(kind_of(&opened).unwrap())
    }

    #[test]
    fn a_walk_finds_what_openat2_finds() {
        let directory = tempfile::tempdir().unwrap();
        furnish(directory.path());
        let dir = OwnedFd::from(std::fs::File::open(directory.path()).unwrap());
        let long_name = "n".repeat(256);
        let long_path = "dir/deep/../..".repeat(400);
        let paths = [
            ".",
            "",
            "/",
            "/etc",
            "file",
            "dir",
            "dir/",
            "./dir/./deep/file",
            "dir/deep/file/",
            "file/file",
            "nothing",
            "nothing/file",
            "link",
            "link-to-dir",
            "link-to-dir/deep",
            "dangling",
            "dir/out",
            "dir/out/passwd",
            "magic",
            "magic/etc",
            "fifo",
            "fifo/file",
            "socket",
            "..",
            "../..",
            "dir/../..",
            "/proc/self/fd/0",
            &long_name,
            &long_path,
        ];
        let (read, wait) = (OFlag::O_RDONLY, OFlag::O_NONBLOCK | OFlag::O_NOCTTY);
        for flags in [
            read | wait,
            read | OFlag::O_DIRECTORY,
            OFlag::O_RDWR | OFlag::O_NOFOLLOW | wait,
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW,
        ] {
            // openat2 refuses a mode where nothing is created.
            let creates = flags.contains(OFlag::O_CREAT);
            let mode = Mode::S_IRUSR & Mode::from_bits_retain(if creates { 0o777 } else { 0 });
            let created = ["nothing"];
            for path in paths {
                // No program creates names that only a directory can have.
                let of_directory = path.ends_with(['/', '.']) || path.contains("..");
                if creates && of_directory {
                    continue;
                }
                let tidy = || {
                    for path in created {
                        let _ = std::fs::remove_file(directory.path().join(path));
                    }
                };
                let flags_of = flags | OFlag::O_CLOEXEC;
                let asked = openat2::beneath(dir.as_fd(), Path::new(path), flags_of, mode);
                let asked = outcome(asked.map_err(io::Error::from));
                tidy();
                let walked = outcome(open(dir.as_fd(), Path::new(path), flags, mode));
                tidy();
                assert_eq!(walked, asked, "{path:?} with {flags:?}");
            }
        }
    }

    /// Fails when a fifo is opened: a process that waits to write into it would be woken.
    #[test]
    fn what_is_no_file_is_looked_at_only() {
        let directory = tempfile::tempdir().unwrap();
        furnish(directory.path());
        let dir = OwnedFd::from(std::fs::File::open(directory.path()).unwrap());
        let found = open(
            dir.as_fd(),
            Path::new("fifo"),
            OFlag::O_RDONLY,
            Mode::empty(),
        )
        .unwrap();
        let status = nix::fcntl::fcntl(&found, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert!(OFlag::from_bits_retain(status).contains(OFlag::O_PATH));
    }

    #[test]
    fn a_way_up_is_refused_even_inside() {
        let directory = tempfile::tempdir().unwrap();
        furnish(directory.path());
        let dir = OwnedFd::from(std::fs::File::open(directory.path()).unwrap());
        let up = open(
            dir.as_fd(),
            Path::new("dir/../file"),
            OFlag::O_RDONLY,
            Mode::empty(),
        );
        assert_eq!(outcome(up), Err(Some(libc::EXDEV)));
    }

    /// Fails when an error of a file's own is taken for a refusal.
    #[test]
    fn an_answer_of_the_kernels_is_no_refusal() {
        let directory = std::fs::File::open("/").unwrap();
        for error in [Errno::EPERM, Errno::ENOSYS, Errno::EACCES] {
            assert!(!is_refusal(error, directory.as_fd()));
        }
    }
}
