//! The manager's notifications: to systemd (sd_notify(3)), and to the reader of
//! the abstract socket that Swift's servers speak to.

use std::time::{Duration, Instant};

use swift_server::notify::REFUSED;
use swift_server::process::Pid;
use swift_server::sd_notify::{Message, SdNotify, watchdog_interval};
use swift_sys::epoll::deadline_in;
use swift_sys::{fd, socket};

use crate::log::Log;
use crate::sockets::Listener;

/// The time in which systemd has to process notifications.
const BARRIER: Duration = Duration::from_secs(30);

/// Sends to both.
#[derive(Clone, Debug)]
pub struct Notifier {
    systemd: SdNotify,
    log: Log,
    /// The interval at which systemd's watchdog is answered, and when it is next. A standby that takes over
    /// goes on with it: any process of the unit may answer.
    watchdog: Option<Duration>,
    next_beat: Option<Instant>,
}

impl Notifier {
    /// As the environment says.
    pub fn from_env(log: Log) -> Notifier {
        let systemd = SdNotify::from_env();
        if let Some(why) = systemd.complaint() {
            log.warn(&why);
        }
        let watchdog = watchdog_interval().filter(|_| systemd.is_set());
        Notifier {
            systemd,
            log,
            watchdog,
            next_beat: watchdog.map(|_| Instant::now()),
        }
    }

    /// When [`Notifier::beat`] is to be called.
    pub fn next_beat(&self) -> Option<Instant> {
        self.next_beat
    }

    /// Tells systemd's watchdog, when it is time to, that this process is alive.
    pub fn beat(&mut self) {
        if self.next_beat.is_some_and(|at| at <= Instant::now()) {
            self.send_to_systemd(&Message::new().line("WATCHDOG", "1"));
            self.next_beat = self.watchdog.and_then(deadline_in);
        }
    }

    /// The value of WATCHDOG_PID for the next image of this process, which may have been a standby.
    pub fn watchdog_pid(&self) -> String {
        self.watchdog.map_or(0, |_| std::process::id()).to_string()
    }

    /// Sends a message to both. A missing reader is no error.
    fn send(&self, message: &Message) {
        let own = format!("\0swift-notifications\0{}", std::process::id());
        // A reader of this name comes and goes, and need not be a friend.
        let _ = socket::send(own.as_bytes(), message.as_bytes());
        self.send_to_systemd(message);
    }

    fn send_to_systemd(&self, message: &Message) {
        if let Err(e) = self.systemd.send(message) {
            let why = swift_sys::error::reason_of(&e);
            self.log.warn(&format!("cannot notify systemd: {why}"));
        }
    }

    /// True when a service manager is notified.
    pub fn has_systemd(&self) -> bool {
        self.systemd.is_set()
    }

    /// Waits until systemd has processed all notifications, those of other processes too.
    pub fn barrier(&self) {
        if !self.systemd.barrier(BARRIER).unwrap_or(false) {
            self.log.warn("systemd does not take in what it is told");
        }
    }

    /// Has systemd keep these sockets for the next start, and forget what it had of addresses that are gone.
    pub fn store(&self, listeners: &[Listener], gone: &[String]) {
        if !self.has_systemd() {
            return;
        }
        for name in gone {
            self.forget(name);
        }
        for listener in listeners.iter().filter(|one| !one.is_units) {
            let fd = fd::duplicate(&listener.fd);
            let stored = fd.and_then(|fd| self.systemd.store(&listener.stored_name(), &fd));
            if let Err(e) = stored {
                let (address, why) = (&listener.address, swift_sys::error::reason_of(&e));
                self.log
                    .warn(&format!("cannot have systemd keep {address}: {why}"));
            }
        }
    }

    /// Has systemd close the descriptors of this name that it keeps.
    pub fn forget(&self, name: &str) {
        let message = Message::new().line("FDSTOREREMOVE", "1");
        self.send_to_systemd(&message.line("FDNAME", name));
    }

    /// Says to systemd alone that this process is the main one again, and that no
    /// reload goes on: so the end of the main process is never that of a reload.
    pub fn is_main(&self, status: &str) {
        let message = Message::new().ready().main_pid(Pid::own()).status(status);
        self.send_to_systemd(&message);
    }

    /// Says how far a start or a reload is, and how long the next step may take.
    pub fn step(&self, status: &str, wait: Duration) {
        self.send(&Message::new().status(status).extend_timeout(wait));
    }

    /// Says how a server is that goes on serving.
    pub fn serving(&self, status: &str) {
        self.send(&Message::new().status(status));
    }

    /// Says that a reload has begun, and that its standby is the main process: it
    /// is ready should this process die before it is.
    pub fn reloading(&self, standby: Pid, wait: Duration) {
        let message = Message::new().reloading().main_pid(standby);
        self.send(&message.status("reloading").extend_timeout(wait));
    }

    /// Says that this process, which is the main one again, is going to end, and
    /// how long that may take.
    pub fn stopping(&self, status: &str, wait: Duration) {
        let message = Message::new().stopping().main_pid(Pid::own());
        self.send(&message.status(status).extend_timeout(wait));
    }

    /// Says that this process is ready, and how it is.
    pub fn ready(&self, status: &str) {
        self.send(&Message::new().ready().main_pid(Pid::own()).status(status));
    }

    /// The same after a reload that failed, and why it did. One that failed
    /// before it was announced is announced now.
    pub fn refused(&self, status: &str, why: &str, is_announced: bool) {
        let message = match is_announced {
            true => Message::new(),
            false => Message::new().reloading(),
        };
        let (name, word) = REFUSED.split_once('=').expect("it is a line");
        let message = message.ready().main_pid(Pid::own()).status(status);
        self.send(&message.line(name, &format!("{word} {why}")));
    }
}
