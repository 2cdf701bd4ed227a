//! Files beneath a directory that another user may own: no link is followed
//! and no path leads out of it (openat2(2), Linux 5.6; where it is refused, a
//! walk that keeps the same promise).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat, umask};
use nix::unistd::{UnlinkatFlags, setfsgid, setfsuid, unlinkat};

use super::{openat2, walk};

/// The mode of a pid file, whatever the umask: monitoring reads it, and only
/// its owner changes it.
pub const FILE_MODE: u32 = 0o644;

/// The mode of a directory that is made, whatever the umask.
const DIR_MODE: u32 = 0o755;

fn open(dir: BorrowedFd, path: &Path, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
    if walk::is_needed() {
        return walk::open(dir, path, flags, mode);
    }
    match openat2::beneath(dir, path, flags | OFlag::O_CLOEXEC, mode) {
        Err(e) if walk::is_refusal(e, dir) => walk::open(dir, path, flags, mode),
        result => Ok(result?),
    }
}

/// Opens a file for reading; a fifo or a device is not waited for.
pub fn open_file(dir: &impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    open(
        dir.as_fd(),
        path,
        OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Mode::empty(),
    )
}

/// Opens a directory.
pub fn open_dir(dir: &impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    open(
        dir.as_fd(),
        path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        Mode::empty(),
    )
}

/// Opens a file for reading and writing, and creates it with mode 0600 when it
/// is missing. It belongs to the directory's owner then, as far as this process
/// may say so: what root makes is not to lock the owner out.
pub fn open_or_create(dir: &impl AsFd, name: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    loop {
        match open(dir.as_fd(), name, flags, Mode::empty()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        let new = flags | OFlag::O_CREAT | OFlag::O_EXCL;
        let created =
            with_exact_modes(|| open(dir.as_fd(), name, new, Mode::S_IRUSR | Mode::S_IWUSR));
        match created {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
            Ok(file) => {
                // Only of a file that was made just now: what another user put
                // there may be another name of a file elsewhere.
                let owner = status(dir)?;
                let (uid, gid) = (owner.st_uid.into(), owner.st_gid.into());
                let _ = nix::unistd::fchown(&file, Some(uid), Some(gid));
                return Ok(file);
            }
        }
    }
}

/// Creates with the modes that are asked for, without a moment of others: a
/// umask takes bits away. It is the process's own, so what another thread creates
/// meanwhile gets its exact mode as well; nothing here creates in two threads.
fn with_exact_modes<T>(create: impl FnOnce() -> T) -> T {
    let own = umask(Mode::empty());
    let result = create();
    umask(own);
    result
}

/// Makes a directory and those above it that are missing, with [`DIR_MODE`]; no
/// error when it is there. Links are followed, since the path is trusted.
pub fn create_trusted_dirs(path: &Path) -> io::Result<()> {
    let mut make = std::fs::DirBuilder::new();
    make.recursive(true).mode(DIR_MODE);
    with_exact_modes(|| make.create(path))
}

/// Opens a directory and makes those on the way that are missing, with
/// [`DIR_MODE`]. Those that root makes belong to the owner of the directory above,
/// whose own tools have to write into them.
pub fn create_dirs(dir: &impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let mut current = open_dir(dir, Path::new("."))?;
    for part in path {
        let part = Path::new(part);
        current = match open_dir(&current, part) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mode = Mode::from_bits_retain(DIR_MODE);
                let make = || with_exact_modes(|| mkdirat(&current, part, mode));
                match as_owner(&current, make)?.or_else(|e| match e {
                    Errno::EACCES => make(),
                    e => Err(e),
                }) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(e) => return Err(e.into()),
                }
                open_dir(&current, part)?
            }
            result => result?,
        };
    }
    Ok(current)
}

/// Makes something as the owner of the directory, where this process is root. To
/// change the owner afterwards would leave the owner of the directory the time to
/// put something else in its place.
fn as_owner<T>(dir: &impl AsFd, make: impl FnOnce() -> T) -> io::Result<T> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(make());
    }
    let owner = status(dir)?;
    // Of this thread only (setfsuid(2)); what is not permitted changes nothing.
    let group = setfsgid(owner.st_gid.into());
    let user = setfsuid(owner.st_uid.into());
    let made = make();
    setfsuid(user);
    setfsgid(group);
    Ok(made)
}

/// A file's name while it is written: the lock that is held does for all. It
/// begins with a dot, since the original removes everything that is named after
/// a server.
const TEMPORARY: &CStr = c".swift-serve.new";

/// Puts another pid file in the place of one of that directory, at once.
pub fn replace_file(dir: &impl AsFd, name: &Path, text: &[u8]) -> io::Result<()> {
    let _ = unlink(dir, TEMPORARY);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    let temporary = Path::new(std::ffi::OsStr::from_bytes(TEMPORARY.to_bytes()));
    let file = open(dir.as_fd(), temporary, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let result = super::fd::write(&file, text)
        .and_then(|written| match written == text.len() {
            true => Ok(fchmod(&file, Mode::from_bits_truncate(FILE_MODE))?),
            // Of a regular file, what is not written has no room.
            false => Err(Errno::ENOSPC.into()),
        })
        .and_then(|()| Ok(nix::fcntl::renameat(dir, TEMPORARY, dir, name)?));
    if result.is_err() {
        let _ = unlink(dir, TEMPORARY);
    }
    result
}

/// Removes a file of that directory itself, not beneath it.
pub fn unlink(dir: &impl AsFd, name: &CStr) -> io::Result<()> {
    Ok(unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?)
}

/// The status of an open file.
pub fn status(fd: &impl AsFd) -> io::Result<FileStat> {
    Ok(fstat(fd)?)
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, socket, fifo or device.
    Other,
}

/// Calls `each` with the name and the kind of every entry but `.` and `..`.
pub fn list(dir: OwnedFd, mut each: impl FnMut(&CStr, Kind)) -> io::Result<()> {
    use nix::dir::Type;
    let mut dir = Dir::from_fd(dir)?;
    let mut unknown = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match entry.file_type() {
            Some(Type::File) => each(name, Kind::File),
            Some(Type::Directory) => each(name, Kind::Directory),
            Some(_) => each(name, Kind::Other),
            // Some file systems do not say the type in the directory.
            None => unknown.push(name.to_owned()),
        }
    }
    for name in unknown {
        use nix::fcntl::AtFlags;
        use nix::sys::stat::{SFlag, fstatat};
        let Ok(status) = fstatat(&dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        let kind = match SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            _ => Kind::Other,
        };
        each(&name, kind);
    }
    Ok(())
}
