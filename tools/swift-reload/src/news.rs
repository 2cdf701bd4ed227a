//! The events of a reload, and their words.

use swift_records::row::Row;
use swift_server::notify::Notice;
use swift_sys::signal::Signal;

use crate::failure::Failure;
use crate::repr;

/// The end of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The new generation is ready.
    Reloaded,
    /// The signal was sent, and the end is not awaited.
    Sent,
    /// The server was not reloaded, or is not known to be.
    Failed(Failure),
}

/// An event of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Its config is being checked.
    Checking,
    /// The server is too old to check its config, so the reload goes on without.
    TooOld,
    /// The server cannot take the signal yet, and is waited for.
    Settling,
    /// The signal is about to be sent.
    Sending,
    /// The signal was sent.
    Signalled,
    /// The server has sent this after the signal.
    Notified(Notice),
}

/// The subject of a reload's messages.
pub struct Subject {
    /// The row; none for a PID of the command line.
    pub row: Option<Row>,
    /// The pid and the server's name.
    pub who: String,
    /// The server's program.
    pub program: String,
    /// The signal that reloads it.
    pub signal: Option<Signal>,
}

impl Subject {
    /// The words for a step: for a PID those of Swift's own swift-reload. None for what is no step.
    pub fn step(&self, news: &News) -> Option<String> {
        let Subject { who, program, .. } = self;
        let (original, own) = match news {
            News::Checking => (
                format!("Checking config for {program}"),
                format!("checking the config of {who}"),
            ),
            News::Settling => (
                "Waiting until the process can take the signal".into(),
                format!("waiting until {who} can take the signal"),
            ),
            News::Sending => {
                let signal = self.signal?.to_string().replace("SIG", "");
                (
                    format!("Sending {signal} signal"),
                    format!("signalling {who}"),
                )
            }
            News::Notified(notice) => {
                let state = match notice {
                    Notice::Ready => "READY",
                    Notice::Reloading => "RELOADING",
                    Notice::Stopping => "STOPPING",
                    Notice::Other(_) if self.row.is_some() => return None,
                    Notice::Other(line) => {
                        return Some(format!("Received notification {}", repr::bytes(line)));
                    }
                };
                (format!("Process is {state}"), format!("{who} is {state}"))
            }
            _ => return None,
        };
        Some(if self.row.is_some() { own } else { original })
    }

    /// The warning that a reload goes on without notifications.
    pub fn not_notified(&self, why: &str) -> String {
        // The row of a failure says who holds the socket, and this line that it is the socket.
        let why = why.strip_prefix("its socket is ").unwrap_or(why);
        let who = &self.who;
        format!("reloading {who} without its notifications: its socket is {why}")
    }
}
