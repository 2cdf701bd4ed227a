//! The output of one check: kept in part, searched as a whole, and passed on
//! where that is asked for.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use crate::actor::Token;
use crate::head_tail::HeadTail;
use swift_sys::epoll::Epoll;
use swift_sys::fd;

/// The argument with which a server checks its config and does nothing else
/// (Swift 2.32 and later).
pub const TEST_CONFIG: &str = "--test-config";

/// The number of bytes read from one check before the other checks and the
/// deadlines get their turn.
const READ_BUDGET: usize = 256 * 1024;

/// The number of bytes held back before they are passed on.
const HELD_MAX: usize = 64 * 1024;

/// optparse's words for an option that a program does not have
/// (optparse.BadOptionError).
const UNKNOWN_OPTION: &str = "no such option: ";

/// The output of a check.
#[derive(Debug)]
pub(super) struct Output {
    /// Standard output and standard error; the first alone has both unless they
    /// are passed on. None at its end.
    pipes: [Option<OwnedFd>; 2],
    finders: [Finder; 2],
    head_tail: HeadTail,
    relay: Option<Relay>,
}

impl Output {
    /// An output, and the ends that the check is to have for standard output
    /// and standard error.
    pub fn new(relay: Option<Relay>) -> io::Result<(Output, [OwnedFd; 2])> {
        let (stdout, stdout_end) = fd::pipe()?;
        fd::set_nonblocking(&stdout)?;
        let (stderr, stderr_end) = match &relay {
            // One pipe keeps the order in which both were written to.
            None => (None, fd::duplicate(&stdout_end)?),
            Some(_) => {
                let (stderr, end) = fd::pipe()?;
                fd::set_nonblocking(&stderr)?;
                (Some(stderr), end)
            }
        };
        let output = Output {
            pipes: [Some(stdout), stderr],
            finders: [Finder::default(), Finder::default()],
            head_tail: HeadTail::default(),
            relay,
        };
        Ok((output, [stdout_end, stderr_end]))
    }

    /// Adds the pipes to an epoll set, with the tokens of the parts 0 and 1.
    pub fn watch(&self, epoll: &Epoll, token: impl Fn(u8) -> Token) -> io::Result<()> {
        for (pipe, part) in self.pipes.iter().zip(0..) {
            if let Some(pipe) = pipe {
                epoll.add(pipe, token(part).into())?;
            }
        }
        Ok(())
    }

    /// Reads what is there in both pipes, each up to a limit.
    pub fn read_all(&mut self, epoll: &Epoll) -> io::Result<()> {
        (0..self.pipes.len()).try_for_each(|which| self.read(which, epoll))
    }

    /// Reads what is there in one pipe, up to a limit; takes it out of the
    /// epoll set at its end.
    pub fn read(&mut self, which: usize, epoll: &Epoll) -> io::Result<()> {
        let Some(pipe) = &self.pipes[which] else {
            return Ok(());
        };
        let goes_on = fd::drain(pipe, READ_BUDGET, |bytes| {
            self.finders[which].push(bytes);
            match &mut self.relay {
                Some(relay) => relay.push(which, bytes),
                None => self.head_tail.push(bytes),
            }
        })?;
        if !goes_on {
            epoll.remove(pipe)?;
            self.pipes[which] = None;
        }
        Ok(())
    }

    /// True when the check said, anywhere, that it does not know [`TEST_CONFIG`].
    pub fn names_unknown_option(&self) -> bool {
        self.finders.iter().any(|finder| finder.found)
    }

    /// The output that was not passed on. What is held back is passed on now, or
    /// dropped when it is of no interest.
    pub fn finish(self, of_interest: bool) -> Vec<u8> {
        if let Some(relay) = self.relay
            && of_interest
        {
            relay.finish();
        }
        self.head_tail.text()
    }
}

/// Looks for the words of optparse in a stream that comes in pieces.
#[derive(Debug, Default)]
struct Finder {
    /// The last bytes, too few to be the words.
    last: Vec<u8>,
    found: bool,
}

impl Finder {
    fn push(&mut self, bytes: &[u8]) {
        if self.found {
            return;
        }
        let words = [UNKNOWN_OPTION.as_bytes(), TEST_CONFIG.as_bytes()].concat();
        self.last.extend_from_slice(bytes);
        self.found = self.last.windows(words.len()).any(|part| part == words);
        let over = self.last.len().saturating_sub(words.len() - 1);
        self.last.drain(..over);
    }
}

/// Passes output on to where this process's own goes.
#[derive(Debug)]
pub(super) struct Relay {
    to: [File; 2],
    /// The first output, and where it is to go; none once it has been passed on.
    held: Option<Vec<(usize, Vec<u8>)>>,
    size: usize,
}

impl Relay {
    /// To these two.
    pub fn to(to: &[File; 2]) -> io::Result<Relay> {
        Ok(Relay {
            to: [to[0].try_clone()?, to[1].try_clone()?],
            held: Some(Vec::new()),
            size: 0,
        })
    }

    fn push(&mut self, which: usize, bytes: &[u8]) {
        self.size += bytes.len();
        match &mut self.held {
            Some(held) if self.size <= HELD_MAX => held.push((which, bytes.to_vec())),
            _ => {
                self.let_go();
                self.write(which, bytes);
            }
        }
    }

    fn finish(mut self) {
        self.let_go();
    }

    fn let_go(&mut self) {
        for (which, bytes) in self.held.take().unwrap_or_default() {
            self.write(which, &bytes);
        }
    }

    /// Writes output. A reader that is gone does not matter to the verdict.
    fn write(&self, which: usize, bytes: &[u8]) {
        let _ = (&self.to[which]).write_all(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_however_they_arrive() {
        let text = b"Usage: x\n\nx: error: no such option: --test-config\n";
        for size in [1, 7, 16, 64] {
            let mut finder = Finder::default();
            text.chunks(size).for_each(|piece| finder.push(piece));
            assert!(finder.found, "in pieces of {size}");
        }
        let mut finder = Finder::default();
        finder.push(b"can't open file '/usr/bin/x': no such option: --test");
        assert!(!finder.found);
        assert!(finder.last.len() < 64);
    }

    #[test]
    fn one_that_prints_without_end_leaves_the_others_their_turn() {
        let (mut output, _ends) = Output::new(None).unwrap();
        output.pipes[0] = Some(File::open("/dev/zero").unwrap().into());
        output.read(0, &Epoll::new().unwrap()).unwrap();
        assert!(output.pipes[0].is_some());
    }

    #[test]
    fn what_is_passed_on_is_held_back_up_to_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name| File::create(directory.path().join(name)).unwrap();
        let size = |name| directory.path().join(name).metadata().unwrap().len();
        let mut relay = Relay::to(&[file("out"), file("err")]).unwrap();
        relay.push(0, b"first");
        relay.push(1, b"second");
        assert_eq!((size("out"), size("err")), (0, 0));
        relay.push(1, &[b'x'; HELD_MAX]);
        assert_eq!((size("out"), size("err")), (5, 6 + HELD_MAX as u64));
        relay.push(0, b"third");
        assert_eq!(size("out"), 10);
    }
}
