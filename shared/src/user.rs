//! Whose a process is.

use std::fs;
use std::io;

use crate::process::Pid;
use crate::sys::spawn::User;

/// The user on whose behalf a process acts, from /proc/PID/status; none when it
/// is gone. Of its real, effective and saved user this is the first that is not
/// root: whoever is behind a program with the set-user-ID bit counts, and not
/// the program's owner.
pub fn of(pid: Pid) -> io::Result<Option<User>> {
    match fs::read(format!("/proc/{pid}/status")) {
        Ok(text) => parse(&text)
            .map(Some)
            .ok_or_else(|| io::Error::other(format!("cannot understand /proc/{pid}/status"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Whether this process acts as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Reads /proc/PID/status; none when it makes no sense.
pub fn parse(status: &[u8]) -> Option<User> {
    let numbers = |key: &[u8]| -> Option<Vec<u32>> {
        let mut lines = status.split(|b| *b == b'\n');
        let line = lines.find_map(|line| line.strip_prefix(key))?;
        let words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        words.map(|word| word.parse().ok()).collect()
    };
    let uids = numbers(b"Uid:")?;
    let [real, effective, saved, ..] = uids[..] else {
        return None;
    };
    let not_root = [real, effective, saved].into_iter().find(|uid| *uid != 0);
    Some(User {
        uid: not_root.unwrap_or(0),
        gid: *numbers(b"Gid:")?.first()?,
        groups: numbers(b"Groups:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_root_counts() {
        let of = |uids: &str| {
            let text = format!("Name:\tUid: 7\nUid:\t{uids}\nGid:\t6\t6\t6\t6\nGroups:\t6 8 \n");
            parse(text.as_bytes()).unwrap()
        };
        let user = of("5\t5\t5\t5");
        assert_eq!((user.uid, user.gid, user.groups), (5, 6, vec![6, 8]));
        assert_eq!(of("5\t0\t0\t0").uid, 5);
        assert_eq!(of("0\t5\t0\t5").uid, 5);
        assert_eq!(of("0\t0\t5\t0").uid, 5);
        assert_eq!(of("0\t0\t0\t0").uid, 0);
        assert!(parse(b"Uid:\t0\n").is_none());
    }

    #[test]
    fn this_process_is_ours() {
        let me = of(Pid::new(std::process::id() as i32).unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(me.uid, nix::unistd::getuid().as_raw());
        assert_eq!(me.gid, nix::unistd::getgid().as_raw());
    }
}
