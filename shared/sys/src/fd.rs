//! Descriptors: copies, pipes, and waiting for one of them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A copy of a descriptor, above standard error and closed on exec.
pub fn duplicate(fd: &impl AsFd) -> io::Result<OwnedFd> {
    duplicate_above(fd, 3)
}

/// A copy of a descriptor whose number is at least `least`, closed on exec.
pub(crate) fn duplicate_above(fd: &impl AsFd, least: RawFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least))?;
    // SAFETY: fcntl has just made this descriptor, which nothing else owns.
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

/// True when a descriptor is open and stays so across exec.
pub fn is_inheritable(number: RawFd) -> bool {
    // SAFETY: the call fails for a number that is not open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl(fd, FcntlArg::F_GETFD).map(FdFlag::from_bits_retain);
    flags.is_ok_and(|flags| !flags.contains(FdFlag::FD_CLOEXEC))
}

/// Decides whether a descriptor stays open across exec.
pub fn set_inheritable(fd: &impl AsFd, inheritable: bool) -> io::Result<()> {
    let flags = match inheritable {
        true => FdFlag::empty(),
        false => FdFlag::FD_CLOEXEC,
    };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Makes a call again that a signal interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Writes once, and returns how many bytes that were.
pub fn write(fd: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(retry(|| nix::unistd::write(fd, bytes))?)
}

/// Reads once, and returns how many bytes came.
pub fn read(fd: &impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    Ok(retry(|| nix::unistd::read(fd, into))?)
}

/// Reads once into the spare capacity of a buffer, and returns how many bytes came.
pub fn read_behind(fd: &impl AsFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let length = buffer.len();
    buffer.resize(buffer.capacity(), 0);
    let result = read(fd, &mut buffer[length..]);
    buffer.truncate(length + result.as_ref().copied().unwrap_or(0));
    result
}

/// Reads what is there, up to a limit, and hands it on in pieces; `false` at its end.
pub fn drain(fd: &impl AsFd, limit: usize, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    let mut total = 0;
    while total < limit {
        match read(fd, &mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                each(&buffer[..n]);
                total += n;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

/// A pipe: first the end to read from, then the end to write to.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// A descriptor that can be read once it was [raised](raise): all processes that hold it see that, as long
/// as no process reads it (eventfd(2)).
pub fn event() -> io::Result<OwnedFd> {
    use nix::sys::eventfd::{EfdFlags, EventFd};
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = EventFd::from_value_and_flags(0, flags)?;
    Ok(event.into())
}

/// Has an [event] happen.
pub fn raise(event: &impl AsFd) -> io::Result<()> {
    write(event, &1_u64.to_ne_bytes()).map(drop)
}

/// A directory, to start a process in.
pub fn directory(path: &std::path::Path) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.custom_flags(libc::O_PATH | libc::O_DIRECTORY);
    Ok(options.read(true).open(path)?.into())
}

/// /dev/null, to read from and to write to.
pub fn null() -> io::Result<OwnedFd> {
    let mut options = File::options();
    Ok(options.read(true).write(true).open("/dev/null")?.into())
}

/// Makes reads and writes return instead of waiting.
pub fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// True when a descriptor has something to read, or has ended, at this moment.
pub fn is_readable(fd: &impl AsFd) -> io::Result<bool> {
    wait_for(fd, PollFlags::POLLIN, Some(Instant::now()))
}

/// Waits until a descriptor has something to read, or has ended.
pub fn wait_readable(fd: &impl AsFd) -> io::Result<()> {
    wait_for(fd, PollFlags::POLLIN, None).map(drop)
}

/// Waits until a descriptor can be written to; `false` when the deadline has passed.
pub(crate) fn wait_writable(fd: &impl AsFd, deadline: Option<Instant>) -> io::Result<bool> {
    wait_for(fd, PollFlags::POLLOUT, deadline)
}

pub(crate) fn wait_for(
    fd: &impl AsFd,
    events: PollFlags,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd.as_fd(), events)];
    loop {
        let ready = retry(|| poll(&mut fds, timeout(deadline)))? > 0;
        if ready || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok(ready);
        }
    }
}

/// The time left until a deadline, in milliseconds and rounded up: a wait that ended early would spin.
pub(crate) fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let left = left.saturating_add(Duration::from_nanos(999_999));
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

/// Puts a descriptor in the place of standard input, output or error, so that the end of a pipe there
/// is seen.
pub fn take_over(stdio: RawFd, with: OwnedFd) -> io::Result<()> {
    // SAFETY: the standard library borrows its standard descriptors by their numbers only, and the
    // number that is returned stays open.
    let _ = unsafe { nix::unistd::dup2_raw(with, stdio) }?.into_raw_fd();
    Ok(())
}
