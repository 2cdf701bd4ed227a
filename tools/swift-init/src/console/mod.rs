//! All output for people and the service manager. The order "clear the progress line, flush
//! standard output, then write standard error" is kept here and nowhere else.

pub mod diagnostics;
mod progress;
mod stdout;
mod systemd;

use std::time::Instant;

use swift_cli::text;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::epoll::min_deadline;

use crate::options::TOOL;

pub use progress::Progress;
pub use stdout::Stdout;
pub use systemd::Systemd;

/// Standard output, standard error and the service manager.
pub struct Console {
    /// Standard output, in Swift's words.
    pub stdout: Stdout,
    /// The service manager.
    pub systemd: Systemd,
    /// The line on the terminal.
    pub progress: Progress,
}

impl Console {
    /// Nothing said yet.
    pub fn new(verbose: bool) -> Console {
        Console {
            stdout: Stdout::new(verbose),
            systemd: Systemd::from_env(),
            progress: Progress::new(),
        }
    }

    /// Writes standard output, unless it is deferred.
    pub fn flush(&mut self) {
        if self.stdout.has_output() {
            self.progress.clear();
            self.stdout.flush();
        }
    }

    /// Writes a line on standard error.
    pub fn error(&mut self, line: &str) {
        self.progress.clear();
        self.stdout.flush();
        TOOL.say(line);
    }

    /// Reports on standard error what went wrong with an instance, if something did: in one line, and
    /// when verbose with all that the server said of its config.
    pub fn report(&mut self, row: &Row) {
        let Some(line) = diagnostics::failure(row) else {
            return;
        };
        self.error(&line);
        if self.stdout.verbose && row.state == State::Misconfigured {
            for line in text::backslash_replace(row.text()).lines() {
                self.error(&format!("| {line}"));
            }
        }
    }

    /// When the progress line is to be drawn, or systemd expects a message.
    pub fn deadline(&self) -> Option<Instant> {
        min_deadline(self.progress.next, self.systemd.next)
    }
}
