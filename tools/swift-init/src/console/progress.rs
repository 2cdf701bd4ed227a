//! One line on the terminal that names what is still awaited.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use swift_sys::epoll::deadline_in;
use swift_sys::session;

use super::diagnostics::servers;

/// A wait is spoken of when it takes longer than this, and then again as often.
const PERIOD: Duration = Duration::from_secs(1);

/// The line takes no more columns than this, and no more than the terminal has.
const WIDTH: usize = 40;

/// The line, which is drawn only while something is awaited, and only on a terminal.
pub struct Progress {
    since: Instant,
    /// When the line is to be drawn.
    pub next: Option<Instant>,
    drawn: bool,
}

impl Progress {
    /// No line yet. Its seconds count from now on.
    pub fn new() -> Progress {
        Progress {
            since: Instant::now(),
            next: deadline_in(PERIOD).filter(|_| session::stderr_is_terminal()),
            drawn: false,
        }
    }

    /// No line from now on: the terminal belongs to the servers.
    pub fn disable(&mut self) {
        self.clear();
        self.next = None;
    }

    /// Draws the line when it is time to. `awaited` names what is awaited.
    pub fn tick<N: Iterator<Item = String>>(&mut self, awaited: impl FnOnce() -> N) {
        if self.next.is_none_or(|next| next > Instant::now()) {
            return;
        }
        self.next = deadline_in(PERIOD);
        let names: Vec<String> = awaited().collect();
        if names.is_empty() {
            return self.clear();
        }
        let line = compose(&names, self.since.elapsed().as_secs(), columns());
        write(&format!("\r\x1b[K{line}"));
        self.drawn = true;
    }

    /// Takes the line away, before anything else is written.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            write("\r\x1b[K");
            // It comes back a moment after what was written.
            self.next = deadline_in(PERIOD);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The columns that the line may take: one less than the terminal has, since
/// some go to the next line after the last one.
fn columns() -> usize {
    session::terminal_width().map_or(WIDTH, |width| width.saturating_sub(1).min(WIDTH))
}

/// `waiting 12 s for object-server (4711)`, with as many names as fit and
/// ` and 3 more`; when none does, `waiting 12 s for 4 servers`.
fn compose(names: &[String], seconds: u64, width: usize) -> String {
    let begin = format!("waiting {seconds} s for ");
    // A name takes two columns at least.
    for shown in (1..=names.len().min(width / 2)).rev() {
        let mut line = format!("{begin}{}", names[..shown].join(", "));
        if shown < names.len() {
            line += &format!(" and {} more", names.len() - shown);
        }
        if line.chars().count() <= width {
            return line;
        }
    }
    let line = format!("{begin}{}", servers(names.len()));
    line.chars().take(width).collect()
}

fn write(text: &str) {
    // A terminal that is gone needs no line.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when more is written than the terminal has columns: every redraw then leaves a line behind.
    #[test]
    fn the_line_fits_the_terminal() {
        let names: Vec<String> = (1..=9).map(|n| format!("object-server ({n})")).collect();
        for (names, width, wanted) in [
            (&names[..1], 79, "waiting 12 s for object-server (1)"),
            (
                &names[..2],
                79,
                "waiting 12 s for object-server (1), object-server (2)",
            ),
            (
                &names[..2],
                45,
                "waiting 12 s for object-server (1) and 1 more",
            ),
            (&names[..], WIDTH, "waiting 12 s for 9 servers"),
            (&names[..1], 33, "waiting 12 s for 1 server"),
            (&names[..], 12, "waiting 12 s"),
            (&names[..], 0, ""),
        ] {
            let line = compose(names, 12, width);
            assert_eq!(line, wanted.get(..width).unwrap_or(wanted));
        }
        for width in 0..200 {
            assert!(compose(&names, u64::MAX, width).chars().count() <= width);
        }
    }
}
