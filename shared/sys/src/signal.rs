//! Signals by name and number.

use std::fmt;

use nix::sys::signal as nix_signal;

/// The highest signal number that Linux knows (SIGRTMAX, signal(7)).
const MAX: i32 = 64;

/// A signal's number, from 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(i32);

impl TryFrom<i32> for Signal {
    type Error = String;

    fn try_from(number: i32) -> Result<Signal, String> {
        Signal::from_number(number).ok_or_else(|| format!("no signal has the number {number}"))
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> i32 {
        signal.number()
    }
}

impl Signal {
    /// SIGHUP.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// SIGINT.
    pub const INT: Signal = Signal(libc::SIGINT);
    /// SIGQUIT.
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    /// SIGKILL.
    pub const KILL: Signal = Signal(libc::SIGKILL);
    /// SIGUSR1.
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    /// SIGCHLD.
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    /// SIGTERM.
    pub const TERM: Signal = Signal(libc::SIGTERM);

    /// The signal's number.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The signal of that number, if there is one.
    pub const fn from_number(number: i32) -> Option<Signal> {
        if number < 1 || number > MAX {
            return None;
        }
        Some(Signal(number))
    }

    /// A signal from what a person writes: `TERM`, `SIGTERM`, `term` or `15`.
    pub fn parse(word: &str) -> Option<Signal> {
        if word.bytes().all(|b| b.is_ascii_digit()) {
            return Signal::from_number(word.parse().ok()?);
        }
        let upper = word.to_ascii_uppercase();
        let name = if upper.starts_with("SIG") {
            upper
        } else {
            format!("SIG{upper}")
        };
        let signal: nix_signal::Signal = name.parse().ok()?;
        Some(Signal(signal as i32))
    }
}

/// The name where the signal has one (`SIGTERM`), otherwise its number.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix_signal::Signal::try_from(self.0) {
            Ok(signal) => f.write_str(signal.as_str()),
            Err(_) => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for word in ["TERM", "SIGTERM", "term", "15", "015"] {
            assert_eq!(Signal::parse(word), Some(Signal::TERM), "{word}");
        }
        assert_eq!(Signal::parse("64").map(Signal::number), Some(64));
        for word in ["", "0", "65", "-1", "NOPE", "SIG", "99999999999"] {
            assert_eq!(Signal::parse(word), None, "{word}");
        }
        assert_eq!(Signal::USR1.to_string(), "SIGUSR1");
    }
}
