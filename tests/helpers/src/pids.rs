//! The processes that fake servers enter into their sandbox's book, and their end.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The environment variable that names the book to a fake server.
pub const BOOK: &str = "FAKE_SERVER_PIDS";

/// Kills every process in the book (lines of `PID START`) that is still the one that was entered.
pub fn kill_all(book: &Path) {
    let Ok(text) = fs::read_to_string(book) else {
        return;
    };
    let alive: Vec<OwnedFd> = text.lines().filter_map(open_entered).collect();
    for pidfd in &alive {
        // A process that ended meanwhile is what was wanted.
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
    }
    for pidfd in &alive {
        let limit = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        let _ = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&limit));
    }
}

/// The process of one line, proven by its start time after its pidfd was opened.
fn open_entered(line: &str) -> Option<OwnedFd> {
    let (pid, start) = line.split_once(' ')?;
    let pidfd = pidfd_open(Pid::from_raw(pid.parse().ok()?)?, PidfdFlags::empty()).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    (start_time(&stat)? == start).then_some(pidfd)
}

/// Field 22 of /proc/PID/stat, counted after the command name's closing parenthesis.
fn start_time(stat: &str) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)
}
