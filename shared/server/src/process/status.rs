//! /proc/PID/status: the user of a process, and its signal dispositions (proc_pid_status(5)).

use std::io;

use super::stat::{parse_proc, read_proc};
use swift_sys::pid::Pid;
use swift_sys::signal::Signal;
use swift_sys::spawn::User;

/// The text after a key, which begins a line. Only the line of the name can hold
/// anything that is not ASCII.
fn field<'a>(status: &'a [u8], key: &str) -> Option<&'a str> {
    let mut lines = status.split(|b| *b == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(key.as_bytes()))?;
    Some(std::str::from_utf8(value).ok()?.trim())
}

fn numbers(status: &[u8], key: &str) -> Option<Vec<u32>> {
    let words = field(status, key)?.split_ascii_whitespace();
    words.map(|word| word.parse().ok()).collect()
}

fn mask(status: &[u8], key: &str) -> Option<u64> {
    u64::from_str_radix(field(status, key)?, 16).ok()
}

/// The real, effective and saved user.
fn uids(status: &[u8]) -> Option<[u32; 3]> {
    numbers(status, "Uid:")?.get(..3)?.try_into().ok()
}

/// The user on whose behalf a process acts; none when it is gone. Of its real,
/// effective and saved user this is the first that is not root: the user of a
/// program with the set-user-ID bit counts, and not the program's owner.
pub fn user(pid: Pid) -> io::Result<Option<User>> {
    parse_proc(pid, "status", parse_user)
}

/// The same from the text of /proc/PID/status; none when it makes no sense.
pub fn parse_user(status: &[u8]) -> Option<User> {
    let not_root = uids(status)?.into_iter().find(|uid| *uid != 0);
    Some(User {
        uid: not_root.unwrap_or(0),
        gid: *numbers(status, "Gid:")?.first()?,
        groups: numbers(status, "Groups:")?,
    })
}

/// True when a user that is not root may signal a process: its real or saved user
/// is that one (kill(2)). None when it is gone.
pub fn may_be_signalled_by(pid: Pid, user: u32) -> io::Result<Option<bool>> {
    let uids = parse_proc(pid, "status", uids)?;
    Ok(uids.map(|[real, _, saved]| real == user || saved == user))
}

/// True when a process has capabilities (capabilities(7)), and when its status
/// cannot be read: then it may.
pub fn has_capabilities(pid: Pid) -> bool {
    let status = read_proc(pid, "status").ok().flatten();
    status.is_none_or(|status| mask(&status, "CapEff:") != Some(0))
}

/// The disposition of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// True when it has a handler.
    pub caught: bool,
    /// True when it is blocked.
    pub blocked: bool,
    /// True when it is ignored.
    pub ignored: bool,
}

impl Disposition {
    /// Reads the text of /proc/PID/status; none when it makes no sense.
    pub fn parse(status: &[u8], signal: Signal) -> Option<Disposition> {
        let bit = |key| Some(mask(status, key)? >> (signal.number() - 1) & 1 == 1);
        Some(Disposition {
            caught: bit("SigCgt:")?,
            blocked: bit("SigBlk:")?,
            ignored: bit("SigIgn:")?,
        })
    }
}

/// The disposition of a signal at this moment; none when the process is gone.
pub fn disposition(pid: Pid, signal: Signal) -> io::Result<Option<Disposition>> {
    disposition_in(pid, "status", signal)
}

/// The same from one of the files `status` of its threads.
pub(super) fn disposition_in(
    pid: Pid,
    file: &str,
    signal: Signal,
) -> io::Result<Option<Disposition>> {
    parse_proc(pid, file, |status| Disposition::parse(status, signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispositions_are_read_from_masks() {
        let status = b"Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000200\n";
        let of = |signal| Disposition::parse(status, signal).unwrap();
        assert!(of(Signal::USR1).caught);
        assert!(of(Signal::from_number(13).unwrap()).ignored);
        let term = of(Signal::TERM);
        assert!(!term.caught && !term.blocked && !term.ignored);
    }

    #[test]
    fn users_other_than_root_count() {
        let of = |uids: &str| {
            let text = format!("Name:\tUid: 7\nUid:\t{uids}\nGid:\t6\t6\t6\t6\nGroups:\t6 8 \n");
            parse_user(text.as_bytes()).unwrap()
        };
        let user = of("5\t5\t5\t5");
        assert_eq!((user.uid, user.gid, user.groups), (5, 6, vec![6, 8]));
        assert_eq!(of("5\t0\t0\t0").uid, 5);
        assert_eq!(of("0\t5\t0\t5").uid, 5);
        assert_eq!(of("0\t0\t5\t0").uid, 5);
        assert_eq!(of("0\t0\t0\t0").uid, 0);
        assert!(parse_user(b"Uid:\t0\n").is_none());
    }

    #[test]
    fn this_process_is_ours() {
        let me = user(Pid::own()).unwrap().unwrap();
        assert_eq!(me.uid, nix::unistd::getuid().as_raw());
        assert_eq!(me.gid, nix::unistd::getgid().as_raw());
    }
}
