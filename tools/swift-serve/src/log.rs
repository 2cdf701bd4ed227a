//! The log of the server, for its operator.

use swift_cli::text;
use swift_sys::syslog::{self, Severity};

use crate::options::TOOL;

/// The destination.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    console: bool,
}

impl Log {
    /// The terminal, or else the system's log under that name.
    pub fn new(name: &str, console: bool) -> Log {
        if !console {
            syslog::open(name);
        }
        Log { console }
    }

    /// True for the terminal.
    pub fn is_console(self) -> bool {
        self.console
    }

    /// Something that is as it should be.
    pub fn info(self, what: &str) {
        self.write(Severity::LOG_INFO, what);
    }

    /// Something that the operator should know.
    pub fn warn(self, what: &str) {
        self.write(Severity::LOG_WARNING, what);
    }

    /// Something that failed.
    pub fn error(self, what: &str) {
        self.write(Severity::LOG_ERR, what);
    }

    fn write(self, severity: Severity, what: &str) {
        if self.console {
            TOOL.say_at(severity, what);
        } else {
            // A daemon that does not read loses lines, and never holds the server up.
            let _ = syslog::write(severity, &text::one_line(what.as_bytes()));
        }
    }
}
