//! pidfds: descriptors that stand for a process, and for no other that has its pid
//! later (pidfd_open(2), Linux 5.3).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use super::fd::retry;
use super::pid::Pid;
use super::refused::explained;
use super::signal::Signal;

/// Sends to the whole process group of the pidfd's process (Linux 6.9).
const SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// Opens a pidfd; none when no process has that pid.
pub fn open(pid: Pid) -> io::Result<Option<OwnedFd>> {
    // SAFETY: the call takes two numbers, which the kernel checks.
    match Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.raw(), 0) }) {
        // SAFETY: the kernel has just made this descriptor, which nothing else owns.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
        // Of a thread that leads no group, Linux 6.x says ENOENT and earlier ones EINVAL: no process
        // has that pid.
        Err(Errno::ESRCH | Errno::ENOENT | Errno::EINVAL) => Ok(None),
        Err(e) => Err(explained(e.into(), "pidfd_open", "5.3")),
    }
}

fn send_with_flags(pidfd: &impl AsFd, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    let (pidfd, no_info) = (
        pidfd.as_fd().as_raw_fd(),
        std::ptr::null::<libc::siginfo_t>(),
    );
    // SAFETY: the descriptor is open for the time of the call, and the kernel checks both numbers.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, no_info, flags) };
    match Errno::result(result) {
        // The call's own answer where this process may not signal the other.
        Err(Errno::EPERM) => Err(Errno::EPERM.into()),
        Err(e) => Err(explained(e.into(), "pidfd_send_signal", "5.1")),
        Ok(_) => Ok(()),
    }
}

/// Sends a signal to the pidfd's process. ESRCH when it is gone.
pub fn send(pidfd: &impl AsFd, signal: Signal) -> io::Result<()> {
    send_with_flags(pidfd, signal.number(), 0)
}

/// Checks whether a signal may be sent: EPERM when not, ESRCH when the
/// process is gone and was waited for.
pub fn probe(pidfd: &impl AsFd) -> io::Result<()> {
    send_with_flags(pidfd, 0, 0)
}

/// Sends a signal to the process group that the pidfd's process leads. The
/// error is EINVAL where the kernel is older than 6.9.
pub fn send_group(pidfd: &impl AsFd, signal: Signal) -> io::Result<()> {
    send_with_flags(pidfd, signal.number(), SIGNAL_PROCESS_GROUP)
}

/// A copy of a descriptor of the pidfd's process, by its number there; none when that is not open. The
/// error is EPERM when the process may not be traced (PTRACE_MODE_ATTACH_REALCREDS in ptrace(2)).
pub fn get_fd(pidfd: &impl AsFd, number: RawFd) -> io::Result<Option<OwnedFd>> {
    let pidfd = pidfd.as_fd().as_raw_fd();
    // SAFETY: the pidfd is open for the time of the call, and the kernel checks the numbers.
    match Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, number, 0) }) {
        // SAFETY: the kernel has just made this descriptor, which nothing else owns.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
        Err(Errno::EBADF) => Ok(None),
        Err(Errno::EPERM) => Err(Errno::EPERM.into()),
        Err(e) => Err(explained(e.into(), "pidfd_getfd", "5.6")),
    }
}

/// Takes the status of a child of this process if it has ended.
pub fn reap(child: Pid) -> io::Result<()> {
    use nix::sys::wait::waitpid;
    let child = nix::unistd::Pid::from_raw(child.raw());
    match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
        Ok(_) | Err(Errno::ECHILD | Errno::EINTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exited with that status.
    Exit(u8),
    /// A signal of that number ended it.
    Signal(u8),
}

/// Waits for the end of a child of this process and takes its status.
pub fn wait(pidfd: &impl AsFd) -> io::Result<Ended> {
    loop {
        match retry(|| waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED)) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(Ended::Exit(status as u8)),
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                return Ok(Ended::Signal(signal as i32 as u8));
            }
            Ok(_) => {}
            Err(e) => return Err(explained(e.into(), "waitid", "5.4")),
        }
    }
}
