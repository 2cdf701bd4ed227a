//! Bytes, which arrive in pieces, turned into rows.

use std::io;
use std::os::fd::AsFd;

use swift_records::row::Row;
use swift_sys::fd;

/// A line longer than this is a bad line. The longest row that a tool writes
/// holds 64 KiB of a server's output, at most four times that when escaped.
pub const MAX_LINE: usize = 1 << 20;

/// A line that is no row.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// The fault.
    pub what: String,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The rows in a stream of bytes.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// The bytes before this are taken already.
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
        let n = fd::read_behind(fd, &mut self.buffer)?;
        self.room = if n >= room { 2 * room } else { room };
        Ok(n)
    }

    /// The rest moves only when at least as much is let go. So no byte moves
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
            return Some(row.map_err(|what| self.bad(what)));
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

    /// The rest when no more bytes come: a line without its newline may
    /// have been cut short, so it is never obeyed.
    pub fn finish(&mut self) -> Option<BadLine> {
        if self.taken == self.buffer.len() {
            return None;
        }
        self.taken = self.buffer.len();
        self.scanned = self.taken;
        self.line += 1;
        Some(self.bad("ends without a newline".into()))
    }

    /// The number of the line that was last returned, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    fn too_long(&self) -> BadLine {
        self.bad(format!("longer than {MAX_LINE} bytes"))
    }

    fn bad(&self, what: String) -> BadLine {
        BadLine {
            line: self.line,
            what,
        }
    }
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
