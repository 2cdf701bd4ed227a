//! The processes that fake servers enter into their sandbox's book, and their end.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use crate::pidfd;

/// The environment variable that names the book to a fake server.
pub const BOOK: &str = "FAKE_SERVER_PIDS";

/// Kills every process in the book (lines of `PID START`) that is still the one that was entered, one
/// after the other in the order of the book: a server stands before its workers, and would replace
/// those that go before it. Looks again until all are gone.
pub fn kill_all(book: &Path) {
    while kills_one(book) {}
}

/// True when something ran, and has ended now.
fn kills_one(book: &Path) -> bool {
    let text = fs::read_to_string(book).unwrap_or_default();
    let mut ended = false;
    for process in text.lines().filter_map(open_entered) {
        pidfd::kill(&process);
        ended |= pidfd::readable_within(&process, Duration::from_secs(10));
    }
    ended
}

/// The process of one line if it runs, proven by its start time after its pidfd was opened.
fn open_entered(line: &str) -> Option<OwnedFd> {
    let (pid, start) = line.split_once(' ')?;
    let process = pidfd::open(pid.parse().ok()?)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // What stands after the command name's closing parenthesis begins with field 3, the state; field
    // 22 is the start time.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let runs = !matches!(*fields.first()?, "Z" | "X");
    (runs && *fields.get(19)? == start).then_some(process)
}
