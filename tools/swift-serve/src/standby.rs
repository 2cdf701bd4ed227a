//! A standby as the manager sees it: a second process that holds what the manager has, and is the manager
//! once that has died.

use serde::{Deserialize, Serialize};
use swift_server::process::Process;
use swift_sys::handover::Descriptor;
use swift_sys::pidfd::Ended;
use swift_sys::signal::Signal;
use swift_sys::{fd, pidfd};

use crate::handover;

/// The manager is going to end, and the standby is to end after it.
pub const STOP: u8 = b's';
/// The standby has told the old workers to finish.
pub const DONE: u8 = b'o';

/// A standby.
#[derive(Debug, Serialize, Deserialize)]
pub struct Standby {
    /// The process.
    #[serde(with = "handover::process")]
    pub process: Process,
    /// The socket for STOP and DONE.
    pub control: Descriptor,
    /// Raised when it is no longer the standby. The next standby, which then is, sees that too: when the
    /// manager dies, exactly one of them takes over.
    pub retired: Descriptor,
    /// True when it was retired.
    pub is_retired: bool,
    /// The signal with which it lets old workers finish, if it has to.
    pub releases: Option<Signal>,
}

impl Standby {
    /// Ends its task.
    pub fn retire(&mut self) {
        self.is_retired = true;
        // The counter of an event that was never raised has room.
        let _ = fd::raise(&self.retired);
    }

    /// Tells it to end after the manager.
    pub fn stop(&self) {
        // One that is gone ends nothing.
        let _ = fd::write(&self.control, &[STOP]);
    }

    /// True when another process is the standby by now.
    pub fn has_retired(&self) -> std::io::Result<bool> {
        Ok(fd::is_readable(&self.retired)? || self.process.has_ended()?)
    }

    /// The signal that old workers did not get, for a standby that has ended and whose work is not
    /// done.
    pub fn left_undone(&self) -> Option<Signal> {
        // The exit status is there for a child alone, and DONE for every standby.
        let exited = pidfd::wait(&self.process).ok() == Some(Ended::Exit(0));
        let mut word = [0];
        let is_done = exited
            || fd::is_readable(&self.control).unwrap_or(false)
                && fd::read(&self.control, &mut word).is_ok()
                && word == [DONE];
        self.releases.filter(|_| !is_done)
    }
}
