//! The clone(2) itself.

use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

use super::child::{Prepared, run_child};
use super::plan::Child;
use crate::pid::Pid;

/// The size of the child's stack: a few frames and one small buffer.
const STACK: usize = 64 * 1024;

/// Clones this process: the parent stands still until the child has executed or
/// exited, and no handler of this process runs in the child.
pub(super) fn clone(prepared: &mut Prepared) -> io::Result<Child> {
    let mut stack: Vec<u128> = Vec::with_capacity(STACK / size_of::<u128>());
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the sets are filled in before they are read. The stack is
    // writable memory that outlives the child's use of it, since CLONE_VFORK
    // holds this thread until the child has executed or exited; its top is
    // aligned to 16 bytes. `prepared` outlives the child likewise, and this
    // thread does not look at it meanwhile. CLONE_PIDFD stores an open
    // descriptor, which nothing else owns, when clone succeeds.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let top = stack.as_mut_ptr().add(stack.capacity());
        let pid = libc::clone(
            run_child,
            top.cast(),
            flags,
            (&raw mut *prepared).cast(),
            &raw mut pidfd,
        );
        let error = io::Error::last_os_error();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        if pid < 0 {
            return Err(error);
        }
        let pid = Pid::new(pid).expect("clone returns a positive number");
        Ok(Child {
            pid,
            pidfd: OwnedFd::from_raw_fd(pidfd),
        })
    }
}
