//! The processes that fake servers enter into their sandbox's book, and their end.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The environment variable that names the book to a fake server.
pub const BOOK: &str = "FAKE_SERVER_PIDS";

/// Kills every process in the book (lines of `PID START`) that is still the one that was entered, one
/// after the other in the order of the book: a server stands before its workers, and would replace
/// those that go before it. Looks again until all are gone.
pub fn kill_all(book: &Path) {
    while kills_one(book) {}
}

/// Whether something ran, and has ended now.
fn kills_one(book: &Path) -> bool {
    let text = fs::read_to_string(book).unwrap_or_default();
    let limit = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    let mut ended = false;
    for pidfd in text.lines().filter_map(open_entered) {
        // A process that ended meanwhile is what was wanted.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        ended |= poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)) == Ok(1);
    }
    ended
}

/// The process of one line if it runs, proven by its start time after its pidfd was opened.
fn open_entered(line: &str) -> Option<OwnedFd> {
    let (pid, start) = line.split_once(' ')?;
    let pidfd = pidfd_open(Pid::from_raw(pid.parse().ok()?)?, PidfdFlags::empty()).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // What stands after the command name's closing parenthesis begins with field 3, the state; field
    // 22 is the start time.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let runs = !matches!(*fields.first()?, "Z" | "X");
    (runs && *fields.get(19)? == start).then_some(pidfd)
}
