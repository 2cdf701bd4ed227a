//! What the manager announces of itself: to systemd (sd_notify(3)), and to
//! whoever has bound the name that Swift's servers speak to.

use std::os::unix::ffi::OsStringExt;

use shared::notify::REFUSED;
use shared::sys::socket;

/// Tells both.
#[derive(Clone, Debug)]
pub struct Notifier {
    systemd: Option<Vec<u8>>,
}

impl Notifier {
    /// As the environment says.
    pub fn from_env() -> Notifier {
        let systemd = std::env::var_os("NOTIFY_SOCKET").map(OsStringExt::into_vec);
        let systemd = systemd.filter(|name| name.len() > 1).map(|mut name| {
            if name[0] == b'@' {
                name[0] = 0;
            }
            name
        });
        Notifier { systemd }
    }

    /// Sends these lines, all in one datagram. That nobody listens is no error.
    pub fn tell(&self, lines: &str) {
        let own = format!("\0swift-notifications\0{}", std::process::id());
        for to in [Some(own.as_bytes()), self.systemd.as_deref()]
            .into_iter()
            .flatten()
        {
            // That nobody listens is no error.
            let _ = socket::send(to, lines.as_bytes());
        }
    }

    /// Says that a reload has begun, at this moment of the monotonic clock.
    pub fn reloading(&self) {
        let now = shared::sys::session::monotonic().as_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// Says that this process is ready, how it is, and why the reload before
    /// failed if it did.
    pub fn ready(&self, status: &str, failure: Option<&str>) {
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        let mut lines = format!(
            "READY=1\nMAINPID={}\nSTATUS={}",
            std::process::id(),
            line(status)
        );
        if let Some(why) = failure {
            lines.push_str(&format!("\n{REFUSED} {}", line(why)));
        }
        self.tell(&lines);
    }
}
