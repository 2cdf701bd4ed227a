//! Waiting for many descriptors at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::epoll::{self as nix_epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::fd::{retry, timeout};

/// A set of descriptors, each with a token that tells which one it was. The
/// cost of a wait does not depend on how many there are (epoll(7)).
#[derive(Debug)]
pub struct Epoll(nix_epoll::Epoll);

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

impl Epoll {
    /// An empty set.
    pub fn new() -> io::Result<Epoll> {
        let flags = EpollCreateFlags::EPOLL_CLOEXEC;
        Ok(Epoll(nix_epoll::Epoll::new(flags)?))
    }

    /// Adds a descriptor: its token is reported when it can be read, has ended,
    /// or, for a pidfd, when the process has ended. Closing the descriptor takes
    /// it out again, unless it is open elsewhere too.
    pub fn add(&self, fd: &impl AsFd, token: u64) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token);
        Ok(self.0.add(fd, event)?)
    }

    /// Adds a descriptor whose token is reported once it hangs up, and not when it can be read.
    pub fn add_hangup(&self, fd: &impl AsFd, token: u64) -> io::Result<()> {
        // EPOLLHUP is always reported.
        let event = EpollEvent::new(EpollFlags::EPOLLRDHUP, token);
        Ok(self.0.add(fd, event)?)
    }

    /// Takes a descriptor out.
    pub fn remove(&self, fd: &impl AsFd) -> io::Result<()> {
        Ok(self.0.delete(fd)?)
    }

    /// Waits until something has happened or the deadline has come. The tokens are
    /// few at a time; an empty list means that the deadline has come.
    pub fn wait(&self, deadline: Option<Instant>) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let n = retry(|| self.0.wait(&mut events, timeout(deadline)))?;
            if n > 0 || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(events[..n].iter().map(EpollEvent::data).collect());
            }
        }
    }
}

/// The earlier of two moments, where none means never.
pub fn min_deadline(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

/// The moment after that span from now; none when it is too far away to be one.
pub fn deadline_in(span: Duration) -> Option<Instant> {
    Instant::now().checked_add(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd;

    #[test]
    fn what_happens_is_told_by_its_token() {
        let epoll = Epoll::new().unwrap();
        let (one, one_end) = fd::pipe().unwrap();
        let (two, two_end) = fd::pipe().unwrap();
        epoll.add(&one, 1).unwrap();
        epoll.add(&two, 2).unwrap();
        assert_eq!(epoll.wait(Some(Instant::now())).unwrap(), []);
        drop(two_end);
        assert_eq!(epoll.wait(None).unwrap(), [2]);
        drop(two);
        nix::unistd::write(&one_end, b"x").unwrap();
        assert_eq!(epoll.wait(None).unwrap(), [1]);
    }
}
