//! Rows as they flow from one process to the next.

mod decoder;
mod output;

use std::io;
use std::os::fd::OwnedFd;

use swift_records::row::Row;
use swift_sys::epoll::Epoll;
use swift_sys::fd;

pub use decoder::{BadLine, Decoder, MAX_LINE};
pub use output::{Output, stdout};

/// Rows that come in beside other events.
pub struct Input {
    fd: OwnedFd,
    decoder: Decoder,
    ended: bool,
}

/// The next item of an [`Input`].
pub enum Next {
    /// A row.
    Row(Box<Row>),
    /// A line that is no row.
    Bad(BadLine),
    /// Nothing at this moment: wait for the descriptor, then [`Input::fill`].
    Wait,
    /// Nothing ever again.
    End,
}

impl Input {
    /// Rows from standard input.
    pub fn stdin() -> io::Result<Input> {
        Ok(Input::new(fd::duplicate(&io::stdin())?))
    }

    /// Rows from a descriptor.
    pub fn new(fd: OwnedFd) -> Input {
        Input {
            fd,
            decoder: Decoder::default(),
            ended: false,
        }
    }

    /// Has the descriptor watched; `false` when it is of a kind that is always
    /// ready and cannot be watched, such as a file: then it is filled at once
    /// whenever there is nothing else to do.
    pub fn watch(&self, epoll: &Epoll, token: u64) -> io::Result<bool> {
        match epoll.add(&self.fd, token) {
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// No longer watches the descriptor.
    pub fn unwatch(&self, epoll: &Epoll) {
        // It was not watched, or it is not any more: both are what is wanted.
        let _ = epoll.remove(&self.fd);
    }

    /// Reads once. Waits when there is nothing to read. The other end of a socket that ends with
    /// something unread has ended all the same.
    pub fn fill(&mut self) -> io::Result<()> {
        self.ended = match self.decoder.fill(&self.fd) {
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => true,
            result => result? == 0,
        };
        Ok(())
    }

    /// The next row, bad line or end.
    pub fn next_row(&mut self) -> Next {
        match self.decoder.next_row() {
            Some(Ok(row)) => Next::Row(Box::new(row)),
            Some(Err(bad)) => Next::Bad(bad),
            None if !self.ended => Next::Wait,
            None => self.decoder.finish().map_or(Next::End, Next::Bad),
        }
    }

    /// The number of the line that was last returned.
    pub fn line(&self) -> u64 {
        self.decoder.line()
    }
}
