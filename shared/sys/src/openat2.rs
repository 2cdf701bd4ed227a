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
    let mut tries = (0..TRIES).map(|_| openat2(dir, path, how));
    // The kernel asks for another try when something was renamed meanwhile; but also
    // while a process holds a lease on the file.
    let final_one = tries.find(|result| !matches!(result, Err(Errno::EAGAIN | Errno::EINTR)));
    final_one.unwrap_or(Err(Errno::EAGAIN))
}
