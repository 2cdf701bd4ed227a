//! The failure of a reload, and its words.

use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use swift_cli::text;
use swift_records::reason::Reason;
use swift_records::state::State;
use swift_sys::error::reason_of;

/// Why a reload has failed, in the words of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The row's state.
    pub state: State,
    /// The first word of its detail.
    pub reason: Reason,
    /// The rest of its detail.
    pub text: Vec<u8>,
}

impl Failure {
    /// A server that is not known to have been reloaded, for that reason.
    pub fn new(reason: Reason, text: impl Into<Vec<u8>>) -> Failure {
        Failure {
            state: State::Unreloaded,
            reason,
            text: text.into(),
        }
    }

    /// A server that may not be signalled.
    pub fn denied() -> Failure {
        Failure {
            state: State::Denied,
            ..Failure::new(Reason::Permission, "")
        }
    }

    /// A server that runs with this config, which is not the row's.
    pub fn other_config(config: PathBuf) -> Failure {
        Failure {
            state: State::WrongConfig,
            ..Failure::new(Reason::Config, config.into_os_string().into_vec())
        }
    }

    /// Something that has to be known cannot be found out.
    pub fn unknown(error: &io::Error) -> Failure {
        Failure::new(Reason::Untested, reason_of(error))
    }

    /// The failure of that process as one line.
    pub fn message(&self, who: &str) -> String {
        // The last line of what a program printed says what is wrong, and the row has it all.
        let text = text::one_line(text::last_line(&self.text));
        let with_text = |what: &str| match text.is_empty() {
            true => what.to_owned(),
            false => format!("{what}: {text}"),
        };
        if self.state == State::Denied {
            return format!("cannot signal {who}: Operation not permitted");
        }
        let why = match self.reason {
            Reason::Vanished if text.is_empty() => "it has ended".into(),
            Reason::Timeout if self.state == State::Misconfigured => {
                with_text("the check of its config took too long")
            }
            Reason::Timeout => "it is not ready in time".into(),
            Reason::Exit(status) => with_text(&format!("its config is bad (exit status {status})")),
            Reason::Signal(number) => {
                with_text(&format!("the check of its config died of signal {number}"))
            }
            Reason::ExecMissing => "its program is missing".into(),
            Reason::Untested => with_text("its config could not be checked"),
            Reason::Interrupted => "another one failed before its turn came".into(),
            Reason::Refused => with_text("its old generation serves on"),
            Reason::Busy => with_text("another process has its notification socket"),
            _ => text,
        };
        format!("cannot reload {who}: {why}")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::denied(),
            _ => Failure::unknown(&error),
        }
    }
}
