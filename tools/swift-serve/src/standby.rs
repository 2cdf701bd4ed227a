//! The standby as the manager sees it: the process that stands by while the manager executes itself anew.

use std::os::fd::OwnedFd;

use swift_server::process::Process;
use swift_sys::pidfd::Ended;
use swift_sys::signal::Signal;
use swift_sys::{fd, pidfd, socket};

/// The new generation serves: drain these addresses, let the old one finish.
pub const RELEASE: u8 = b'r';
/// The old generation is kept by the manager itself.
pub const DISMISS: u8 = b'd';
/// The manager is going to end, and the standby is to end after it.
pub const STOP: u8 = b's';
/// The standby has done what RELEASE asks for.
pub const DONE: u8 = b'o';

/// The standby, as the manager sees it.
#[derive(Debug)]
pub struct Standby {
    /// The process.
    pub process: Process,
    /// Where it is told the verdict, and says that it has done its work.
    pub control: Option<OwnedFd>,
    /// True when it was told the verdict.
    pub is_notified: bool,
    /// The signal with which it lets old workers finish, once it was told to.
    pub releases: Option<Signal>,
}

impl Standby {
    /// True when it waits for the verdict.
    pub fn is_waiting(&self) -> bool {
        !self.is_notified
    }

    /// Tells it the verdict; `false` when it is gone.
    pub fn tell(&mut self, what: u8, text: &str) -> bool {
        self.is_notified = true;
        let message = [&[what], text.as_bytes()].concat();
        let alive = !self.process.has_ended().unwrap_or(true);
        let written = |fd: &OwnedFd| fd::write(fd, &message).is_ok_and(|n| n == message.len());
        alive && self.control.as_ref().is_some_and(written)
    }

    /// Says that nothing more will be said, which the standby of an older
    /// swift-serve waits for before it exits.
    pub fn hang_up(&self) {
        if let Some(control) = &self.control {
            let _ = socket::end_sending(control);
        }
    }

    /// Takes its exit status if it has ended; none when it has not. It holds
    /// the signal that old workers did not get when it could not do its work.
    pub fn take_end(&self) -> Option<Option<Signal>> {
        if !self.process.has_ended().unwrap_or(false) {
            return None;
        }
        // One that is no child of this process has no status for it, but a word.
        let exited = pidfd::wait(&self.process).ok() == Some(Ended::Exit(0));
        let mut word = [0];
        let word = self.control.as_ref().and_then(|control| {
            fd::is_readable(control).ok().filter(|readable| *readable)?;
            fd::read(control, &mut word)
                .ok()
                .filter(|length| *length == 1)?;
            Some(word[0])
        });
        let has_finished = exited || word == Some(DONE);
        Some(self.releases.filter(|_| !has_finished))
    }
}
