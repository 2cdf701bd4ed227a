//! What is said on standard output: the original's words, to the byte.

use std::io::{self, Write as _};

use swift_cli::text;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_sys::signal::Signal;

/// Standard output. When nobody reads it any more the command goes on; when it
/// cannot be written, that is told in the end.
pub struct Voice {
    buffer: String,
    terminal: bool,
    error: Option<io::Error>,
    /// Whether what was said is kept back.
    held: bool,
}

impl Voice {
    /// The standard output of this process.
    pub fn new() -> Voice {
        let terminal = swift_sys::session::stdout_is_terminal();
        Voice {
            buffer: String::new(),
            terminal,
            error: swift_sys::entry::need_output().err(),
            held: false,
        }
    }

    /// Whether nothing waits to be written.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Says a line. It may name files that somebody else named, and hold what a
    /// server printed: nothing of it is to drive a terminal.
    pub fn line(&mut self, line: &str) {
        self.text(line);
        self.buffer.push('\n');
        if self.buffer.len() > 1 << 15 {
            self.flush();
        }
    }

    /// Says lines that end with a newline already.
    pub fn text(&mut self, text: &str) {
        if self.terminal {
            self.buffer.push_str(&text::for_terminal(text));
        } else {
            self.buffer.push_str(text);
        }
    }

    /// Says what a server printed, followed by a newline.
    pub fn output(&mut self, bytes: &[u8]) {
        self.line(&text::backslash_replace(bytes));
    }

    /// Keeps back what is said, until it was done.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Lets go of what was kept back.
    pub fn release(&mut self) {
        self.held = false;
    }

    /// Writes what was said, unless it is kept back. To be called before anything
    /// that may take time.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() || self.held {
            return;
        }
        let mut out = io::stdout();
        let result = out
            .write_all(self.buffer.as_bytes())
            .and_then(|()| out.flush());
        self.buffer.clear();
        if let Err(e) = result
            && e.kind() != io::ErrorKind::BrokenPipe
        {
            self.error.get_or_insert(e);
        }
    }

    /// Writes the rest, and tells whether all could be written. That nobody
    /// wants to read it is no failure.
    pub fn finish(&mut self) -> io::Result<()> {
        self.release();
        self.flush();
        self.error.take().map_or(Ok(()), Err)
    }

    /// What became of a pid file that lied. Of some it is always told, of
    /// others when `verbose`.
    pub fn removed(&mut self, row: &Row, verbose: bool) {
        let file = row.pidfile.as_deref().unwrap_or("".as_ref()).display();
        match (row.reason(), row.pid) {
            (Some(Reason::Invalid), _) => {
                self.line(&format!("Removing pid file {file} with invalid pid"));
            }
            (Some(Reason::Stale), _) if verbose => {
                self.line(&format!("Removing stale pid file {file}"));
            }
            (Some(Reason::WrongProcess), Some(pid)) if verbose => {
                self.line(&format!("Removing pid file {file} with wrong pid {pid}"));
            }
            _ => {}
        }
    }

    /// That a server runs, with its config.
    pub fn running(&mut self, row: &Row) {
        let config = row.config.as_deref().unwrap_or("".as_ref()).display();
        self.line(&format!("{} running ({} - {config})", row.server, pid(row)));
    }

    /// That a server is about to be signalled.
    pub fn signal(&mut self, row: &Row, signal: Signal) {
        let (server, pid, number) = (&row.server, pid(row), signal.number());
        self.line(&format!("Signal {server}  pid: {pid}  signal: {number}"));
    }

    /// That a server may not be signalled.
    pub fn no_permission(&mut self, row: &Row) {
        self.line(&format!("No permission to signal PID {}", pid(row)));
    }

    /// That a server has ended.
    pub fn stopped(&mut self, row: &Row, verbose: bool) {
        if verbose {
            let file = row.pidfile.as_deref().unwrap_or("".as_ref()).display();
            self.line(&format!("Removing stale pid file {file}"));
        }
        self.line(&format!(
            "{} ({}) appears to have stopped",
            row.server,
            pid(row)
        ));
    }
}

fn pid(row: &Row) -> String {
    row.pid.map(|pid| pid.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use swift_records::state::State;

    use super::*;

    #[test]
    fn no_name_drives_a_terminal() {
        let row = Row {
            server: "object-server".into(),
            config: None,
            pidfile: Some(PathBuf::from("/run/swift/object-server/\x1b[2J.pid")),
            pid: None,
            start: None,
            state: State::Orphan,
            detail: b"invalid".to_vec(),
        };
        for (terminal, shown) in [(true, "\\x1b[2J"), (false, "\x1b[2J")] {
            let mut voice = Voice::new();
            voice.terminal = terminal;
            voice.removed(&row, false);
            let said = std::mem::take(&mut voice.buffer);
            let file = format!("/run/swift/object-server/{shown}.pid");
            assert_eq!(said, format!("Removing pid file {file} with invalid pid\n"));
        }
    }
}
