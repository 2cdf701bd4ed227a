//! The output of a started server, read from a pipe as far as the end of it is kept.

use std::io;
use std::os::fd::OwnedFd;

use swift_server::head_tail::HeadTail;
use swift_sys::fd;

/// The pipe, while a process has it open, and what came out of it.
#[derive(Default)]
pub struct Output {
    pipe: Option<OwnedFd>,
    head_tail: HeadTail,
}

impl Output {
    /// The output that comes through that pipe.
    pub fn new(pipe: Option<OwnedFd>) -> Output {
        let head_tail = HeadTail::default();
        Output { pipe, head_tail }
    }

    /// The pipe; none when it was closed, or the output goes elsewhere.
    pub fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// Closes the pipe, which takes it out of every epoll.
    pub fn close(&mut self) {
        self.pipe = None;
    }

    /// True when nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.head_tail.is_empty()
    }

    /// The text that was printed.
    pub fn text(&self) -> Vec<u8> {
        self.head_tail.text()
    }

    /// Forgets what was printed.
    pub fn forget(&mut self) {
        self.head_tail = HeadTail::default();
    }

    /// Reads what is there, up to a limit; `false` at the end of the output.
    pub fn read(&mut self, limit: usize) -> io::Result<bool> {
        let Some(pipe) = &self.pipe else {
            return Ok(false);
        };
        let mut buffer = [0; 16 * 1024];
        let mut total = 0;
        while total < limit {
            match fd::read(pipe, &mut buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.head_tail.push(&buffer[..n]);
                    total += n;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}
