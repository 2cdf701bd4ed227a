//! Notifications to systemd while this process waits: that a start, a reload or a stop goes on, so that no
//! timeout of the unit cuts it off, and that the main process of a unit is alive.

use std::time::{Duration, Instant};

use swift_server::sd_notify::{Message, SdNotify, watchdog_interval};
use swift_sys::epoll::deadline_in;

/// The interval at which a phase is prolonged, and the time that is added each time. systemd gives up
/// a process that hangs after that time.
const EXTEND_EVERY: Duration = Duration::from_secs(10);
const EXTEND_BY: Duration = Duration::from_secs(60);

/// The service manager, and what it expects.
pub struct Systemd {
    notify: SdNotify,
    /// The interval at which systemd's watchdog is answered.
    watchdog: Option<Duration>,
    /// True while the service runs; a start, a reload or a stop ends some time.
    is_running: bool,
    /// When [`Systemd::beat`] is to be called.
    pub next: Option<Instant>,
}

impl Systemd {
    /// As the environment says. What goes on is a start, a reload or a stop.
    pub fn from_env() -> Systemd {
        let notify = SdNotify::from_env();
        let watchdog = watchdog_interval().filter(|_| notify.is_set());
        Systemd {
            next: notify.is_set().then(Instant::now),
            notify,
            watchdog,
            is_running: false,
        }
    }

    /// True when there is a service manager.
    pub fn is_there(&self) -> bool {
        self.notify.is_set()
    }

    /// Sends lines. What cannot be sent is lost: systemd goes by its own timeouts then.
    pub fn send(&self, message: Message) {
        let _ = self.notify.send(&message);
    }

    /// Says how the service is.
    pub fn status(&self, text: &str) {
        self.send(Message::new().status(text));
    }

    /// Says that it is ready.
    pub fn ready(&mut self, status: &str) {
        self.send(Message::new().ready().status(status));
        self.is_running = true;
        self.next = self.watchdog.and_then(deadline_in);
    }

    /// Says that it is about to end.
    pub fn stopping(&mut self, status: &str) {
        let message = Message::new().stopping().status(status);
        self.send(message.extend_timeout(EXTEND_BY));
        self.is_running = false;
        self.next = deadline_in(EXTEND_EVERY).filter(|_| self.is_there());
    }

    /// Says that it is alive, when it is time to.
    pub fn beat(&mut self) {
        if self.next.is_none_or(|next| next > Instant::now()) {
            return;
        }
        if self.is_running {
            self.send(Message::new().line("WATCHDOG", "1"));
            self.next = self.watchdog.and_then(deadline_in);
        } else {
            self.extend(EXTEND_BY);
            self.next = deadline_in(EXTEND_EVERY);
        }
    }

    /// Says that what goes on may take so long.
    pub fn extend(&self, by: Duration) {
        self.send(Message::new().extend_timeout(by));
    }
}
