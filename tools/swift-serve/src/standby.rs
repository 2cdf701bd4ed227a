//! The standby as the manager sees it: the process that holds the old generation while the manager
//! executes itself anew.

use serde::{Deserialize, Serialize};
use swift_server::process::Process;
use swift_sys::handover::Descriptor;
use swift_sys::pidfd::Ended;
use swift_sys::signal::Signal;
use swift_sys::{fd, pidfd};

use crate::handover;

/// The new generation serves: drain these addresses, let the old one finish.
pub const RELEASE: u8 = b'r';
/// The old generation is kept by the manager itself.
pub const DISMISS: u8 = b'd';
/// The manager is going to end, and the standby is to end after it.
pub const STOP: u8 = b's';
/// The standby has done what RELEASE asks for.
pub const DONE: u8 = b'o';

/// A standby.
#[derive(Debug, Serialize, Deserialize)]
pub struct Standby {
    /// The process.
    #[serde(with = "handover::process")]
    pub process: Process,
    /// The socket for the verdict and for DONE.
    pub control: Descriptor,
    /// True when the verdict was sent.
    pub is_notified: bool,
    /// The signal with which it lets old workers finish, once it was told to.
    pub releases: Option<Signal>,
}

impl Standby {
    /// Sends the verdict; `false` when the standby is gone.
    pub fn notify(&mut self, verdict: u8, text: &str) -> bool {
        self.is_notified = true;
        let message = [&[verdict], text.as_bytes()].concat();
        !self.process.has_ended().unwrap_or(true)
            && fd::write(&self.control, &message).is_ok_and(|n| n == message.len())
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
