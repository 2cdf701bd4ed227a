//! A tool from its command line to its exit status.

use std::io::Write as _;

use anyhow::Context as _;

use super::exit::Exit;
use super::value::UsageError;
use crate::{service, text};
use swift_sys::error::reason_of;
use swift_sys::syslog::Severity;

/// A tool's name and the words of its help.
#[derive(Debug)]
pub struct Tool {
    /// The program's name.
    pub name: &'static str,
    /// The usage line behind the name.
    pub usage: &'static str,
    /// Its purpose, in a sentence.
    pub about: &'static str,
    /// A line of shell that shows it at work, as its manual page has it; empty for none.
    pub example: &'static str,
    /// The manual pages that say more, such as `swift-records(5)`.
    pub pages: &'static [&'static str],
    /// The exit status when it cannot do its job. It is another one for tools that observe: rows are
    /// missing then, which their readers have to tell from a failed row.
    pub unable: Exit,
}

/// The request of a command line.
#[derive(Debug, PartialEq)]
pub enum Action<T> {
    /// Show this help.
    Help(String),
    /// Show the version.
    Version,
    /// Do the tool's job.
    Run(T),
}

impl Tool {
    /// The text of `--version`: the name, and the version of all tools.
    pub fn version(&self) -> String {
        format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION"))
    }

    /// Runs a tool from its parsed command line: shows help or version, or does the job, and turns
    /// the outcome into an exit status. Errors are one line on standard error.
    pub fn main<T>(
        &self,
        action: Result<Action<T>, UsageError>,
        run: impl FnOnce(T) -> anyhow::Result<Exit>,
    ) -> Exit {
        swift_sys::signal_fd::keep_children();
        let outcome = match action {
            Ok(Action::Help(text)) => show(&text),
            Ok(Action::Version) => show(&self.version()),
            Ok(Action::Run(options)) => run(options),
            Err(UsageError(what)) => {
                self.say(&format!("{what} (see {} --help)", self.name));
                return Exit::Usage;
            }
        };
        outcome.unwrap_or_else(|error| {
            // A reader that is gone needs no message.
            let gone = is_broken_pipe(&error);
            if !gone {
                self.say(&reason_of(&error));
            }
            let exit = error.downcast_ref::<Exit>().copied();
            exit.unwrap_or(if gone { Exit::Failed } else { self.unable })
        })
    }

    /// Prints one line on standard error, in the grammar of all messages:
    /// the tool's name, a colon, the problem.
    pub fn say(&self, what: &str) {
        self.say_at(Severity::LOG_ERR, what);
    }

    /// The same with a priority, which the journal of systemd learns by a prefix (sd-daemon(3)), and
    /// no other reader sees.
    pub fn say_at(&self, severity: Severity, what: &str) {
        let what = text::one_line(what.as_bytes());
        let prefix = service::priority_prefix(severity);
        let name = self.name;
        let line = format!("{prefix}{name}: {}\n", text::without_long_words(&what));
        // A standard error that is gone leaves no way to report it.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Writes text on standard output, at once.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    swift_sys::entry::need_output()
        .and_then(|()| out.write_all(text.as_bytes()))
        .and_then(|()| out.flush())
        .context(UNWRITABLE)
}

/// The message for a standard output that is full.
pub const UNWRITABLE: &str = "cannot write standard output";

/// Shows help or a version. A reader that has seen enough is no failure.
fn show(text: &str) -> anyhow::Result<Exit> {
    match print(text) {
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Ok),
        shown => shown.map(|()| Exit::Ok),
    }
}

/// True for an error that means that the reader of our output is gone.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
