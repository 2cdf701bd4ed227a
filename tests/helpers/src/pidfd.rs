//! Processes by pidfd, and waits with a bound.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use swift_sys::pid::Pid;
use swift_sys::signal::Signal;

/// Opens the process with this pid, if there is one.
///
/// # Panics
/// When the kernel has no pidfds.
pub fn open(pid: i32) -> Option<OwnedFd> {
    swift_sys::pidfd::open(Pid::new(pid)?).expect("the kernel has pidfds")
}

/// Kills a process; one that has ended already stays as it is.
pub fn kill(pidfd: &impl AsFd) {
    let _ = swift_sys::pidfd::send(pidfd, Signal::KILL);
}

/// Waits until a descriptor can be read, which a pidfd can after the end of its process; `false` when
/// the time is over.
///
/// # Panics
/// When the kernel refuses to wait.
pub fn readable_within(fd: &impl AsFd, limit: Duration) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll_before(&mut fds, Instant::now() + limit).expect("a descriptor can be waited for")
}

/// Waits until one of the descriptors is ready; `false` when the time is over.
pub(crate) fn poll_before(fds: &mut [PollFd<'_>], end: Instant) -> std::io::Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).expect("a time limit fits");
        match poll(fds, left) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
