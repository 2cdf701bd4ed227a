//! The events of a reload.

use swift_server::notify::Notice;

use crate::failure::Failure;

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
    /// The reload goes on without notifications, for this reason: another user has the socket, or
    /// that is out of reach.
    NotNotified(String),
    /// The server cannot take the signal yet, and is waited for.
    Settling,
    /// The signal is about to be sent.
    Sending,
    /// The signal was sent.
    Signalled,
    /// The server has sent this after the signal.
    Notified(Notice),
    /// That was all.
    Ended(End),
}

/// The state of a server by its notification.
pub fn state_word(notice: &Notice) -> Option<&'static str> {
    match notice {
        Notice::Ready => Some("READY"),
        Notice::Reloading => Some("RELOADING"),
        Notice::Stopping => Some("STOPPING"),
        Notice::Other(_) => None,
    }
}

/// The warning that a reload goes on without notifications.
pub fn not_notified(who: &str, why: &str) -> String {
    // The row of a failure says who holds the socket, and this line that it is the socket.
    let why = why.strip_prefix("its socket is ").unwrap_or(why);
    format!("reloading {who} without its notifications: its socket is {why}")
}
