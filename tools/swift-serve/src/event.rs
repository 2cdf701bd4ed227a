//! The tokens of the manager's epoll, and its signals.

use swift_server::process::Pid;
use swift_sys::signal::Signal;

/// The signals that a manager takes. They are blocked from the first moment on,
/// across every exec.
pub const SIGNALS: &[Signal] = &[
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::USR1,
    Signal::CHLD,
];

/// Signals have come.
pub const SIGNALLED: u64 = u64::MAX;
/// A worker has printed something.
pub const OUTPUT: u64 = u64::MAX - 1;
/// A client asks for the status.
pub const STATUS: u64 = u64::MAX - 2;
/// The check of a config has something to read.
pub const CHECK: u64 = u64::MAX - 3;
/// A standby has ended.
pub const STANDBY: u64 = u64::MAX - 4;
/// A listening socket was shut down.
pub const LISTENER: u64 = u64::MAX - 5;

/// A worker's end, as the second part of a [`token`].
pub const ENDED: u64 = 0;
/// A worker's word that it is ready.
pub const READY: u64 = 1;

/// The token of an event of a worker.
pub fn token(worker: Pid, event: u64) -> u64 {
    (worker.raw() as u64) << 1 | event
}
