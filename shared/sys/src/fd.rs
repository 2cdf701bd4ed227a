//! Descriptors: copies, pipes, epoll's companions.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::time::Instant;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

/// A copy of a descriptor, above standard error and closed on exec.
pub fn duplicate(fd: &impl AsFd) -> io::Result<OwnedFd> {
    duplicate_above(fd, 3)
}

/// A copy of a descriptor whose number is at least `least`, closed on exec.
pub fn duplicate_above(fd: &impl AsFd, least: RawFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least))?;
    // SAFETY: fcntl returned this descriptor just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// A copy of a descriptor that this process was started with, by its number;
/// an error when there is none.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is only borrowed for the time of the call; when
    // the number is not open, the call says so.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    duplicate(&fd)
}

/// Takes a descriptor that was handed over across exec: a copy of it that is
/// closed on exec, while the number itself is closed. An error when there is none.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    let copy = inherited(number)?;
    nix::unistd::close(number)?;
    Ok(copy)
}

/// Says whether a descriptor stays open across exec.
pub fn set_inheritable(fd: &impl AsFd, inheritable: bool) -> io::Result<()> {
    let flags = match inheritable {
        true => FdFlag::empty(),
        false => FdFlag::FD_CLOEXEC,
    };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Writes what goes at once and returns how much that was.
pub fn write(fd: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::write(fd, bytes) {
            Err(nix::Error::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// A pipe: first the end to read from, then the end to write to.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// /dev/null, to read from and to write to.
pub fn null() -> io::Result<OwnedFd> {
    Ok(File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into())
}

/// Makes reads and writes return instead of waiting.
pub fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Whether a descriptor has something to read, or has ended, at this moment.
pub fn is_readable(fd: &impl AsFd) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(ready) => return Ok(ready > 0),
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits until a descriptor has something to read, or has ended.
pub fn wait_readable(fd: &impl AsFd) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Waits until a descriptor can be written to, up to that moment; `false` when
/// it has passed. None is never.
pub fn wait_writable(fd: &impl AsFd, deadline: Option<Instant>) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let wait = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, wait) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(0) | Err(nix::Error::EINTR) => {}
            result => return Ok(result.map(|ready| ready > 0)?),
        }
    }
}

/// Reads what is there, again when a signal came in between.
pub fn read(fd: &impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::read(fd, into) {
            Err(nix::Error::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Reads what is there behind what a buffer holds, as much as it has room for.
pub fn read_behind(fd: &impl AsFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let room = buffer.spare_capacity_mut();
    let (start, length) = (room.as_mut_ptr(), room.len());
    loop {
        // SAFETY: the kernel writes at most `length` bytes into room that the buffer has.
        match unsafe { libc::read(fd.as_fd().as_raw_fd(), start.cast(), length) } {
            -1 => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
            n => {
                let n = n as usize;
                // SAFETY: so many bytes were written behind what the buffer holds.
                unsafe { buffer.set_len(buffer.len() + n) };
                return Ok(n);
            }
        }
    }
}

/// Takes the lock of an open file (flock(2)); `false` when another holds it and `wait` is not set.
pub fn lock(fd: &impl AsFd, wait: bool) -> io::Result<bool> {
    let how = libc::LOCK_EX | if wait { 0 } else { libc::LOCK_NB };
    loop {
        // SAFETY: the descriptor is open for the time of the call.
        if unsafe { libc::flock(fd.as_fd().as_raw_fd(), how) } == 0 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => {}
            e if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            e => return Err(e),
        }
    }
}

/// Lets go of the lock of an open file. Unlocking what is open cannot fail.
pub fn unlock(fd: &impl AsFd) {
    // SAFETY: the descriptor is open for the time of the call.
    unsafe { libc::flock(fd.as_fd().as_raw_fd(), libc::LOCK_UN) };
}

/// Gives standard input, output or error away, so that /dev/null stands in its
/// place and the end of a pipe is seen when the returned descriptor is dropped.
pub fn take_over(stdio: RawFd, with: OwnedFd) -> io::Result<()> {
    let with = with.into_raw_fd();
    // SAFETY: dup2 replaces a standard descriptor, which the standard library
    // borrows by its number only; `with` is ours to close.
    unsafe {
        let result = libc::dup2(with, stdio);
        let error = io::Error::last_os_error();
        libc::close(with);
        if result < 0 { Err(error) } else { Ok(()) }
    }
}
