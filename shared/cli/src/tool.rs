//! A tool from its command line to its exit status.

use std::io::Write as _;

use anyhow::Context as _;

use super::exit::Exit;
use super::value::UsageError;
use crate::{service, text};
use swift_sys::error::reason_of;
use swift_sys::syslog::Severity;

/// What a tool is called, and what it takes.
#[derive(Debug)]
pub struct Tool {
    /// The program's name.
    pub name: &'static str,
    /// What follows the name in the usage line.
    pub usage: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// A line of shell that shows it at work, as its manual page has it; empty for none.
    pub example: &'static str,
    /// The manual pages that say more, such as `swift-records(5)`.
    pub pages: &'static [&'static str],
}

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Action<T> {
    /// Show this help.
    Help(String),
    /// Show the version.
    Version,
    /// Do the tool's job.
    Run(T),
}

impl<T> Action<T> {
    /// The same with what `f` makes of the options.
    pub fn try_map<U>(
        self,
        f: impl FnOnce(T) -> Result<U, UsageError>,
    ) -> Result<Action<U>, UsageError> {
        Ok(match self {
            Action::Help(text) => Action::Help(text),
            Action::Version => Action::Version,
            Action::Run(options) => Action::Run(f(options)?),
        })
    }
}

impl Tool {
    /// What `--version` shows: the name and the version of all tools.
    pub fn version(&self) -> String {
        format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION"))
    }

    /// Runs a tool from its parsed command line: shows help or version, or
    /// does the job, and turns the outcome into an exit status. Errors are one
    /// line on standard error.
    pub fn main<T>(
        &self,
        action: Result<Action<T>, UsageError>,
        run: impl FnOnce(T) -> anyhow::Result<Exit>,
    ) -> Exit {
        self.main_with(action, run, Exit::Failed)
    }

    /// The same for a tool that observes. When it cannot do its job, rows are
    /// missing, and whoever acts on the others has to be able to tell that from
    /// a failure which is a row.
    pub fn main_of_observer<T>(
        &self,
        action: Result<Action<T>, UsageError>,
        run: impl FnOnce(T) -> anyhow::Result<Exit>,
    ) -> Exit {
        self.main_with(action, run, Exit::Unable)
    }

    fn main_with<T>(
        &self,
        action: Result<Action<T>, UsageError>,
        run: impl FnOnce(T) -> anyhow::Result<Exit>,
        unable: Exit,
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
            // A reader that is gone has said all there is to say.
            let gone = is_broken_pipe(&error);
            if !gone {
                self.say(&reason_of(&error));
            }
            let exit = error.downcast_ref::<Exit>().copied();
            exit.unwrap_or(if gone { Exit::Failed } else { unable })
        })
    }

    /// Prints one line on standard error, in the grammar of all messages:
    /// the tool's name, a colon, what is the matter.
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
        // Nobody is left to be told when standard error is gone.
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

/// What cannot be done when standard output is full.
pub const UNWRITABLE: &str = "cannot write standard output";

fn show(text: &str) -> anyhow::Result<Exit> {
    print(text)?;
    Ok(Exit::Ok)
}

/// Whether an error means that the reader of our output is gone.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
