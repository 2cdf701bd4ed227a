//! Standard output in Swift's words, to the byte.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use swift_cli::text;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_sys::signal::Signal;

/// Standard output. A reader that is gone does not end the command, and other errors are returned
/// by [`Stdout::finish`].
pub struct Stdout {
    buffer: String,
    terminal: bool,
    error: Option<io::Error>,
    /// True while lines are deferred.
    pub deferred: bool,
    pub(super) verbose: bool,
}

impl Stdout {
    /// The standard output of this process.
    pub fn new(verbose: bool) -> Stdout {
        let terminal = swift_sys::session::stdout_is_terminal();
        Stdout {
            buffer: String::new(),
            terminal,
            error: swift_sys::entry::need_output().err(),
            deferred: false,
            verbose,
        }
    }

    /// True when there is something to write now.
    pub fn has_output(&self) -> bool {
        !self.buffer.is_empty() && !self.deferred
    }

    /// Adds a line. On a terminal, names of files and the output of servers are escaped.
    pub fn line(&mut self, line: &str) {
        self.text(line);
        self.buffer.push('\n');
        if self.buffer.len() > 1 << 15 {
            self.flush();
        }
    }

    /// Adds lines that end with a newline already.
    pub fn text(&mut self, text: &str) {
        if self.terminal {
            self.buffer.push_str(&text::for_terminal(text));
        } else {
            self.buffer.push_str(text);
        }
    }

    /// Adds the output of a server and a newline.
    pub fn output(&mut self, bytes: &[u8]) {
        self.line(&text::backslash_replace(bytes));
    }

    /// Writes all lines, unless they are deferred.
    pub fn flush(&mut self) {
        if !self.has_output() {
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

    /// Writes the rest. The error is the first one of all writes.
    pub fn finish(&mut self) -> io::Result<()> {
        self.deferred = false;
        self.flush();
        self.error.take().map_or(Ok(()), Err)
    }

    /// `No object-server running`.
    pub fn none_running(&mut self, server: &str) {
        self.line(&format!("No {server} running"));
    }

    /// The server of the config with that number does not run.
    pub fn not_running(&mut self, server: &str, number: NonZeroUsize, config: &Option<PathBuf>) {
        let config = path(config);
        self.line(&format!("{server} #{number} not running ({config})"));
    }

    /// A server is started, or a daemon for one pass.
    pub fn starting(&mut self, server: &str, config: &Option<PathBuf>, once: bool) {
        let config = path(config);
        self.line(&match once {
            true => format!("Running {server} once...({config})"),
            false => format!("Starting {server}...({config})"),
        });
    }

    /// `object-server already started...`.
    pub fn already_started(&mut self, server: &str) {
        self.line(&format!("{server} already started..."));
    }

    /// A pid file was removed; stale ones are named only when verbose.
    pub fn removed(&mut self, row: &Row) {
        let file = path(&row.pidfile);
        match (row.reason(), row.pid) {
            (Some(Reason::Invalid), _) => {
                self.line(&format!("Removing pid file {file} with invalid pid"));
            }
            (Some(Reason::Stale), _) if self.verbose => {
                self.line(&format!("Removing stale pid file {file}"));
            }
            (Some(Reason::WrongProcess), Some(pid)) if self.verbose => {
                self.line(&format!("Removing pid file {file} with wrong pid {pid}"));
            }
            _ => {}
        }
    }

    /// A server runs, with its config.
    pub fn running(&mut self, row: &Row) {
        self.running_from(row, &row.config);
    }

    /// A server runs, with another file that stands for it.
    pub fn running_from(&mut self, row: &Row, file: &Option<PathBuf>) {
        let (server, pid, file) = (&row.server, pid(row), path(file));
        self.line(&format!("{server} running ({pid} - {file})"));
    }

    /// A server is signalled.
    pub fn signal(&mut self, row: &Row, signal: Signal) {
        let (server, pid, number) = (&row.server, pid(row), signal.number());
        self.line(&format!("Signal {server}  pid: {pid}  signal: {number}"));
    }

    /// A server may not be signalled.
    pub fn no_permission(&mut self, row: &Row) {
        self.line(&format!("No permission to signal PID {}", pid(row)));
    }

    /// A server has ended; when verbose, the pid file that was removed is named, too.
    pub fn stopped(&mut self, row: &Row) {
        if self.verbose && row.reason().is_none() {
            let file = path(&row.pidfile);
            self.line(&format!("Removing stale pid file {file}"));
        }
        let (server, pid) = (&row.server, pid(row));
        self.line(&format!("{server} ({pid}) appears to have stopped"));
    }
}

/// The process of a row.
pub fn pid(row: &Row) -> String {
    row.pid.map(|pid| pid.to_string()).unwrap_or_default()
}

/// A path of a row.
pub fn path(path: &Option<PathBuf>) -> std::path::Display<'_> {
    path.as_deref().unwrap_or(Path::new("")).display()
}

#[cfg(test)]
mod tests {
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
            let mut stdout = Stdout::new(false);
            stdout.terminal = terminal;
            stdout.removed(&row);
            let said = std::mem::take(&mut stdout.buffer);
            let file = format!("/run/swift/object-server/{shown}.pid");
            assert_eq!(said, format!("Removing pid file {file} with invalid pid\n"));
        }
    }
}
