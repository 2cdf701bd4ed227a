//! What the manager waits for: the tokens of its epoll, and its signals.

use swift_sys::signal::Signal;

/// The signals that a manager takes. They are blocked from the first moment on,
/// across every exec.
pub const SIGNALS: &[Signal] = &[Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1];

/// A worker's end, as the second part of a [`token`].
pub const ENDED: u64 = 0;
/// A worker's word that it is ready.
pub const READY: u64 = 1;
/// Signals have come.
pub const SIGNALLED: u64 = 0;
/// A worker has printed something.
pub const OUTPUT: u64 = 1;
/// The manager is asked how it is.
pub const STATUS: u64 = 2;
/// The check of a config.
pub const CHECK: u64 = 3;
/// The end of a standby.
pub const STANDBY: u64 = 4;
/// Workers are counted from here, so that their tokens are none of those above.
pub const FIRST_WORKER: u64 = 8;

/// What is told by a descriptor of a worker.
pub fn token(id: u64, what: u64) -> u64 {
    id << 1 | what
}
