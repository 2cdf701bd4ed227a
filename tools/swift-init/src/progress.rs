//! What is still awaited, on one line of the terminal.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use shared::sys::session;
use shared::watch::after;

/// A wait is spoken of when it takes longer than this, and then again as often.
const PERIOD: Duration = Duration::from_secs(1);

/// The line, which is there only while something is awaited, and only when
/// standard error is a terminal.
pub struct Progress {
    enabled: bool,
    since: Instant,
    next: Option<Instant>,
    drawn: bool,
}

impl Progress {
    /// No line yet.
    pub fn new() -> Progress {
        let enabled = session::stderr_is_terminal();
        Progress {
            enabled,
            since: Instant::now(),
            next: after(PERIOD).filter(|_| enabled),
            drawn: false,
        }
    }

    /// No line from now on.
    pub fn disable(&mut self) {
        self.clear();
        self.enabled = false;
        self.next = None;
    }

    /// When the line is to be drawn.
    pub fn until(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time to draw the line.
    pub fn is_due(&self) -> bool {
        self.enabled && self.next.is_some_and(|next| next <= Instant::now())
    }

    /// Draws the line. `names` are what is awaited.
    pub fn draw(&mut self, names: impl Iterator<Item = String>) {
        self.next = after(PERIOD);
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return self.clear();
        }
        let width = session::terminal_width().unwrap_or(80);
        let line = compose(
            &names,
            self.since.elapsed().as_secs(),
            width.saturating_sub(1),
        );
        write(&format!("\r\x1b[K{line}"));
        self.drawn = true;
    }

    /// Takes the line away, before anything else is written.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            write("\r\x1b[K");
            // It comes back a moment after what was written.
            self.next = after(PERIOD);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `waiting 12 s for object-server (4711), proxy-server (4712) and 3 more`,
/// with as many names as fit.
fn compose(names: &[String], seconds: u64, width: usize) -> String {
    let mut line = format!("waiting {seconds} s for ");
    for (place, name) in names.iter().enumerate() {
        let rest = names.len() - place - 1;
        let more = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        let comma = if place > 0 { ", " } else { "" };
        if line.len() + comma.len() + name.len() + more.len() > width {
            line.push_str(&format!(" and {} more", rest + 1));
            break;
        }
        line.push_str(comma);
        line.push_str(name);
    }
    line.chars().take(width).collect()
}

fn write(text: &str) {
    // A terminal that is gone needs no line.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_the_terminal() {
        let names: Vec<String> = (1..=9).map(|n| format!("object-server ({n})")).collect();
        assert_eq!(
            compose(&names[..1], 3, 79),
            "waiting 3 s for object-server (1)"
        );
        assert_eq!(
            compose(&names[..2], 3, 79),
            "waiting 3 s for object-server (1), object-server (2)"
        );
        assert_eq!(
            compose(&names, 12, 79),
            "waiting 12 s for object-server (1), object-server (2) and 7 more"
        );
        assert!(compose(&names, 12, 20).len() <= 20);
    }
}
