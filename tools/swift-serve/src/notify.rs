//! The manager's notifications: to systemd (sd_notify(3)), and to the reader of
//! the abstract socket that Swift's servers speak to.

use shared::notify::REFUSED;
use shared::process::Pid;
use shared::sd_notify::{Message, SdNotify};
use shared::sys::socket;

use crate::log::Log;

/// Sends to both.
#[derive(Clone, Debug)]
pub struct Notifier {
    systemd: SdNotify,
    log: Log,
}

impl Notifier {
    /// As the environment says.
    pub fn from_env(log: Log) -> Notifier {
        let systemd = SdNotify::from_env();
        if let Some(why) = systemd.complaint() {
            log.warn(&why);
        }
        Notifier { systemd, log }
    }

    /// Sends a message. A missing reader is no error.
    pub fn send(&self, message: &Message) {
        let own = format!("\0swift-notifications\0{}", std::process::id());
        // A reader of this name comes and goes, and need not be a friend.
        let _ = socket::send(own.as_bytes(), message.as_bytes());
        if let Err(e) = self.systemd.send(message) {
            let why = shared::sys::error::reason_of(&e);
            self.log.warn(&format!("cannot notify systemd: {why}"));
        }
    }

    /// Says that another process is the service.
    pub fn main_pid(&self, pid: Pid) {
        self.send(&Message::new().main_pid(pid));
    }

    /// Says that this process is the service.
    pub fn own_pid(&self) {
        self.main_pid(own());
    }

    /// Says that a reload has begun.
    pub fn reloading(&self) {
        self.send(&Message::new().reloading());
    }

    /// Says that this process is going to end.
    pub fn stopping(&self, status: &str) {
        self.send(&Message::new().stopping().status(status));
    }

    /// Says that this process is ready, how it is, and why the reload before
    /// failed if it did.
    pub fn ready(&self, status: &str, failure: Option<&str>) {
        let mut message = Message::new().ready().main_pid(own()).status(status);
        if let (Some(why), Some((name, word))) = (failure, REFUSED.split_once('=')) {
            message = message.line(name, &format!("{word} {why}"));
        }
        self.send(&message);
    }
}

fn own() -> Pid {
    Pid::new(std::process::id() as i32).expect("a pid is positive")
}
