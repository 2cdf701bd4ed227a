//! Rows as they flow from one process to the next.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use swift_cli::{Exit, Tool, UNWRITABLE};
use swift_records::row::Row;
use swift_sys::epoll::Epoll;
use swift_sys::error::reason_of;

/// A line longer than this is a bad line. The longest row that a tool writes
/// holds 64 KiB of a server's output, at most four times that when escaped.
pub const MAX_LINE: usize = 1 << 20;

/// A line that is no row.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Turns bytes, which arrive in pieces, into rows.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Everything before this is taken already.
    taken: usize,
    /// No newline was found before this.
    scanned: usize,
    line: u64,
    skipping: bool,
    /// How many bytes are read at a time.
    room: usize,
}

/// How many bytes are read at first.
const LEAST_ROOM: usize = 1 << 12;

/// As much as a pipe holds (pipe(7)).
const MOST_ROOM: usize = 1 << 16;

impl Decoder {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.forget_taken();
        self.buffer.extend_from_slice(bytes);
    }

    /// Reads once from a descriptor, and gives how many bytes came; none at its
    /// end. What fills its room gets twice as much the next time, up to what a
    /// pipe holds: a stream of few rows touches little memory.
    pub fn fill(&mut self, fd: &impl AsFd) -> io::Result<usize> {
        self.forget_taken();
        let room = self.room.clamp(LEAST_ROOM, MOST_ROOM);
        self.buffer.reserve(room);
        let n = swift_sys::fd::read_behind(fd, &mut self.buffer)?;
        self.room = if n >= room { 2 * room } else { room };
        Ok(n)
    }

    /// What is left moves only when at least as much is let go. So no byte moves
    /// more than twice, even if more rows come than are taken.
    fn forget_taken(&mut self) {
        if self.taken >= self.buffer.len() - self.taken {
            self.buffer.drain(..self.taken);
            self.scanned -= self.taken;
            self.taken = 0;
        }
    }

    /// The next row of which the whole line has arrived.
    pub fn next_row(&mut self) -> Option<Result<Row, BadLine>> {
        while let Some(length) = self.buffer[self.scanned..].iter().position(|b| *b == b'\n') {
            let end = self.scanned + length;
            let start = std::mem::replace(&mut self.taken, end + 1);
            self.scanned = self.taken;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            self.line += 1;
            if end - start > MAX_LINE {
                return Some(Err(self.too_long()));
            }
            let row = Row::read(&self.buffer[start..end]);
            return Some(row.map_err(|what| BadLine {
                line: self.line,
                what,
            }));
        }
        self.scanned = self.buffer.len();
        if self.skipping {
            self.taken = self.scanned;
        } else if self.buffer.len() - self.taken > MAX_LINE {
            self.line += 1;
            self.taken = self.scanned;
            self.skipping = true;
            return Some(Err(self.too_long()));
        }
        None
    }

    /// What is left when no more bytes come: a line without its newline may
    /// have been cut short, so it is never obeyed.
    pub fn finish(&mut self) -> Option<BadLine> {
        if self.taken == self.buffer.len() {
            return None;
        }
        self.taken = self.buffer.len();
        self.scanned = self.taken;
        Some(BadLine {
            line: self.line + 1,
            what: "ends without a newline".into(),
        })
    }

    /// The number of the line that was last returned, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    fn too_long(&self) -> BadLine {
        BadLine {
            line: self.line,
            what: format!("longer than {MAX_LINE} bytes"),
        }
    }
}

/// Writes rows, and keeps them back until [`Output::flush`], so that a stage
/// which has much to say does not say it in a thousand writes.
pub struct Output<W> {
    to: W,
    buffer: Vec<u8>,
}

impl<W: Write> Output<W> {
    /// An output to `to`, which need not be buffered.
    pub fn new(to: W) -> Output<W> {
        Output {
            to,
            buffer: Vec::new(),
        }
    }

    /// Adds a row; it is written at once when much is waiting.
    pub fn put(&mut self, row: &Row) -> io::Result<()> {
        row.write(&mut self.buffer);
        if self.buffer.len() > 1 << 15 {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes what is waiting. To be called before anything that may block.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let result = self
            .to
            .write_all(&self.buffer)
            .and_then(|()| self.to.flush());
        self.buffer.clear();
        result.map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{UNWRITABLE}: {error}"))
}

/// The output of a tool that acts. When its reader is gone, or it cannot be
/// written, the tool begins nothing more, but what it has begun it brings to
/// its end, so the loss is remembered instead of being an error.
pub struct ActOutput<W> {
    output: Output<W>,
    tool: &'static Tool,
    lost: bool,
    broken: bool,
}

impl<W: Write> ActOutput<W> {
    /// An output to `output`, of this tool.
    pub fn new(output: Output<W>, tool: &'static Tool) -> ActOutput<W> {
        ActOutput {
            output,
            tool,
            lost: false,
            broken: false,
        }
    }

    /// Whether nobody reads any more, or nothing more can be written.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether nothing more can be written though there may be a reader.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The exit status that the output calls for.
    pub fn exit(&self) -> Exit {
        match self.lost {
            true => Exit::Failed,
            false => Exit::Ok,
        }
    }

    /// Adds a row.
    pub fn put(&mut self, row: &Row) {
        if !self.lost {
            let result = self.output.put(row);
            self.remember(result);
        }
    }

    /// Writes what is waiting. To be called before anything that may block.
    pub fn flush(&mut self) {
        if !self.lost {
            let result = self.output.flush();
            self.remember(result);
        }
    }

    /// Says once why nothing can be written, unless it is that nobody reads.
    fn remember(&mut self, result: io::Result<()>) {
        if let Err(e) = result {
            self.lost = true;
            if e.kind() != io::ErrorKind::BrokenPipe {
                self.broken = true;
                self.tool.say(&reason_of(&e));
            }
        }
    }
}

/// Rows that come in beside other events.
pub struct Input {
    fd: OwnedFd,
    decoder: Decoder,
    ended: bool,
}

/// What is next in an [`Input`].
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
        Ok(Input::new(swift_sys::fd::duplicate(&std::io::stdin())?))
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

/// The standard output without the standard library's line buffer, which would
/// write each row by itself.
pub fn stdout() -> io::Result<Output<std::fs::File>> {
    swift_sys::entry::need_output().map_err(unwritable)?;
    Ok(Output::new(
        swift_sys::fd::duplicate(&std::io::stdout())?.into(),
    ))
}

/// Says that a line is bad, and gives the exit status for it.
pub fn bad_line(tool: &Tool, bad: &BadLine) -> Exit {
    tool.say(&bad.to_string());
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_records::state::State;

    fn feed(pieces: &[&[u8]]) -> (Vec<Row>, Vec<BadLine>) {
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::default();
        for piece in pieces {
            decoder.push(piece);
            while let Some(row) = decoder.next_row() {
                match row {
                    Ok(row) => rows.push(row),
                    Err(line) => bad.push(line),
                }
            }
        }
        bad.extend(decoder.finish());
        (rows, bad)
    }

    #[test]
    fn rows_come_out_whole_however_they_are_cut() {
        let text = b"a\t-\t-\t-\t-\tstopped\tabsent\nb\t-\t-\t-\t-\trunning\t-\n";
        for cut in 0..text.len() {
            let (rows, bad) = feed(&[&text[..cut], &text[cut..]]);
            assert_eq!(rows.len(), 2, "cut at {cut}");
            assert_eq!(rows[1].state, State::Running);
            assert_eq!(bad, []);
        }
    }

    #[test]
    fn a_line_without_its_newline_is_never_obeyed() {
        let (rows, bad) = feed(&[b"a\t-\t-\t-\t-\tstopped\t-\n", b"b\t-\t-\t-\t-\trunning\t-"]);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            bad,
            [BadLine {
                line: 2,
                what: "ends without a newline".into()
            }]
        );
    }

    const TOOL: Tool = Tool {
        name: "test",
        usage: "",
        about: "",
        example: "",
        pages: &[],
    };

    #[test]
    fn a_reader_that_is_gone_is_remembered() {
        let (read, write) = swift_sys::fd::pipe().unwrap();
        let mut output = ActOutput::new(Output::new(std::fs::File::from(write)), &TOOL);
        let row = Row::new("a", State::Stopped);
        output.put(&row);
        output.flush();
        drop(read);
        assert!(!output.is_lost());
        output.put(&row);
        output.flush();
        assert!(output.is_lost());
    }

    #[test]
    fn an_output_that_cannot_be_written_is_remembered() {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut output = ActOutput::new(Output::new(full), &TOOL);
        output.put(&Row::new("a", State::Stopped));
        assert!(!output.is_lost());
        output.flush();
        assert!(output.is_lost());
    }

    #[test]
    fn an_endless_line_takes_no_endless_memory() {
        let mut decoder = Decoder::default();
        let mut errors = 0;
        for _ in 0..100 {
            decoder.push(&[b'x'; 1 << 15]);
            while let Some(row) = decoder.next_row() {
                assert!(row.is_err());
                errors += 1;
            }
            assert!(decoder.buffer.len() <= MAX_LINE + (1 << 16));
        }
        decoder.push(b"\na\t-\t-\t-\t-\tstopped\t-\n");
        assert!(decoder.next_row().unwrap().is_ok());
        assert_eq!(errors, 1);
    }
}
