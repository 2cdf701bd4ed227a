//! openat2(2), Linux 5.6.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

/// How often an open is tried again that the kernel asks to try again.
const TRIES: usize = 64;

/// Opens a path beneath a directory. No link is followed and no path leads out.
pub fn beneath(dir: BorrowedFd, path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(flags).mode(mode).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    let mut result = openat2(dir, path, how);
    for _ in 0..TRIES {
        match result {
            // The kernel asks for another try when something was renamed
            // meanwhile; but also while a process holds a lease on the file.
            Err(Errno::EAGAIN | Errno::EINTR) => result = openat2(dir, path, how),
            _ => break,
        }
    }
    result
}
