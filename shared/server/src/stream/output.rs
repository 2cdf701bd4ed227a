//! Rows as they are written.

use std::fs::File;
use std::io::{self, Write as _};

use swift_cli::UNWRITABLE;
use swift_records::row::Row;

/// Rows on their way to a reader, kept back until [`Output::flush`]: a thousand rows
/// are not a thousand writes.
pub struct Output {
    to: File,
    buffer: Vec<u8>,
}

impl Output {
    /// An output to `to`.
    pub fn new(to: File) -> Output {
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
        let result = self.to.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{UNWRITABLE}: {error}"))
}

/// The standard output without the standard library's line buffer, which would
/// write each row by itself.
pub fn stdout() -> io::Result<Output> {
    swift_sys::entry::need_output().map_err(unwritable)?;
    let stdout = swift_sys::fd::duplicate(&io::stdout())?;
    Ok(Output::new(stdout.into()))
}
