//! The outcome of a row: what is written of it, and what is said when that is a failure.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::pidfile::{self, Finding};
use crate::process::Unit;
use crate::user;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;

/// A row as it is now.
#[derive(Debug)]
pub struct Outcome {
    /// The row.
    pub row: Row,
    /// The message, when the row is a failure.
    pub failure: Option<String>,
}

impl From<Row> for Outcome {
    fn from(row: Row) -> Outcome {
        Outcome { row, failure: None }
    }
}

impl Outcome {
    /// A failure and its message.
    pub fn failed(row: Row, message: String) -> Outcome {
        Outcome {
            row,
            failure: Some(message),
        }
    }

    /// A row whose process does not run, for that reason.
    pub fn stopped(row: Row, reason: Reason) -> Outcome {
        let pid = row.pid;
        Outcome::of(row, Finding::Stopped(reason, pid), None, None)
    }

    /// True when the row's pid was stale or another process's, and so is its pid file.
    pub fn is_stale(&self) -> bool {
        let reason = self.row.reason();
        self.failure.is_none() && matches!(reason, Some(Reason::Stale | Reason::WrongProcess))
    }

    /// A row whose process may not be signalled.
    pub fn denied(row: Row) -> Row {
        match was_orphan(&row) {
            // That it is an orphan outweighs why: it must never be started.
            true => row.with(State::Denied, Reason::Orphan, b"permission"),
            false => row.with(State::Denied, Reason::Permission, b""),
        }
    }

    /// A row with what was found: when the process started and which unit owns it, where that is known.
    pub fn of(mut row: Row, finding: Finding, start: Option<u64>, owner: Option<Unit>) -> Outcome {
        let orphan = was_orphan(&row);
        let ended = match orphan {
            true => State::Orphan,
            false => State::Stopped,
        };
        let alive = |row: Row, state| match orphan {
            true => row.with(state, Reason::Orphan, b""),
            false => row.with_state(state),
        };
        (row.pid, row.start) = (None, start);
        match finding {
            Finding::Stopped(reason, pid) => {
                (row.pid, row.start) = (pid, None);
                row.with(ended, reason, b"").into()
            }
            Finding::Unreadable(why) => {
                let path = row.pidfile.as_deref().unwrap_or(Path::new("-")).display();
                let message = format!("cannot read {path} ({}): {why}", row.server);
                Outcome::failed(row.with(ended, Reason::Unreadable, why.as_bytes()), message)
            }
            Finding::Starting(pid) => {
                row.pid = Some(pid);
                alive(row, State::Starting).into()
            }
            Finding::WrongConfig { process, config } => {
                row.pid = Some(process.pid);
                let message = pidfile::wrong_config(&row, process.pid, &config);
                let other = config.as_os_str().as_bytes();
                Outcome::failed(row.with(State::WrongConfig, Reason::Config, other), message)
            }
            Finding::Running { process, permitted } => {
                row.pid = Some(process.pid);
                match (permitted, owner) {
                    (true, Some(unit)) => {
                        let words = unit.words(user::own());
                        row.with(State::Owned, Reason::Unit, words.as_bytes())
                    }
                    (true, None) => alive(row, State::Running),
                    (false, _) => Outcome::denied(row),
                }
                .into()
            }
        }
    }
}

/// True when the row is one of an orphan. A row that was `wrong-config` or `owned` does not say it, so the
/// config is looked for.
fn was_orphan(row: &Row) -> bool {
    let config_is_gone = || row.config.as_deref().is_some_and(|config| !config.exists());
    let says_nothing = matches!(row.state, State::WrongConfig | State::Owned);
    row.is_orphan() || (says_nothing && config_is_gone())
}
