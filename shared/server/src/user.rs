//! Whose a process is.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use swift_cli::text;
use swift_sys::pid::Pid;
use swift_sys::spawn::User;

const PASSWD: &str = "/etc/passwd";

/// Longer names are cut (LOGIN_NAME_MAX).
const MAX_NAME: usize = 256;

/// The user on whose behalf a process acts, from /proc/PID/status; none when it
/// is gone. Of its real, effective and saved user this is the first that is not
/// root: whoever is behind a program with the set-user-ID bit counts, and not
/// the program's owner.
pub fn of(pid: Pid) -> io::Result<Option<User>> {
    read(pid, parse)
}

/// Reads /proc/PID/status; none when the process is gone.
fn read<T>(pid: Pid, parse: impl Fn(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
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

/// Whether a user that is not root may signal a process: its real or saved user
/// is that one (kill(2)). None when it is gone.
pub fn may_be_signalled_by(pid: Pid, user: u32) -> io::Result<Option<bool>> {
    let uids = read(pid, uids)?;
    Ok(uids.map(|[real, _, saved]| real == user || saved == user))
}

/// The user as whom this process acts.
pub fn own() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether this process acts as root.
pub fn is_root() -> bool {
    own() == 0
}

/// Who runs this process, for a log: its real user; the user who logged in, which the kernel keeps
/// (/proc/self/loginuid) and no user can change, where that is another; and what SUDO_USER says, which
/// is only a hint, since everyone can set it. For example `root (login: alice, sudo: alice)`.
///
/// Names are those of /etc/passwd: to ask a directory in the network could take long. Other users are
/// shown by their numbers.
pub fn who() -> String {
    let passwd = fs::read(PASSWD).unwrap_or_default();
    let uid = nix::unistd::getuid().as_raw();
    let login = fs::read_to_string("/proc/self/loginuid").ok();
    let login = login.and_then(|text| text.trim().parse().ok());
    let sudo = std::env::var_os("SUDO_USER");
    describe(&passwd, uid, login, sudo.as_deref().map(OsStr::as_bytes))
}

fn describe(passwd: &[u8], uid: u32, login: Option<u32>, sudo: Option<&[u8]>) -> String {
    // (uid_t)-1 stands for nobody.
    let login = login.filter(|login| *login != u32::MAX && *login != uid);
    let login = login.map(|login| format!("login: {}", name_of(passwd, login)));
    let sudo = sudo.filter(|sudo| !sudo.is_empty());
    let sudo = sudo.map(|sudo| format!("sudo: {}", shown(sudo)));
    let hints: Vec<String> = login.into_iter().chain(sudo).collect();
    let name = name_of(passwd, uid);
    match hints[..] {
        [] => name,
        _ => format!("{name} ({})", hints.join(", ")),
    }
}

/// The name of a user in /etc/passwd, quoted when it is none, or `uid 1000`.
pub fn name(uid: u32) -> String {
    name_of(&fs::read(PASSWD).unwrap_or_default(), uid)
}

/// Whether a number that the kernel shows for a user is that user's. In a user
/// namespace (user_namespaces(7)) one number stands for all who have none there.
pub fn is_known(uid: u32) -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let maps_all = || {
        let map = read("/proc/self/uid_map");
        let mut words = map.split_ascii_whitespace();
        words.nth(2) == Some("4294967295")
    };
    let overflow = read("/proc/sys/kernel/overflowuid");
    overflow.trim().parse().ok() != Some(uid) || maps_all()
}

fn name_of(passwd: &[u8], uid: u32) -> String {
    let uid = uid.to_string();
    let mut lines = passwd
        .split(|b| *b == b'\n')
        .map(|line| line.split(|b| *b == b':'));
    let name = lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == uid.as_bytes() && !name.is_empty()).then_some(name)
    });
    name.map_or(format!("uid {uid}"), shown)
}

/// A user's name, quoted when it is none: it must not look like the rest of a line.
fn shown(name: &[u8]) -> String {
    let name = &name[..name.len().min(MAX_NAME)];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"._-+@\\$".contains(b);
    match std::str::from_utf8(name) {
        Ok(text) if name.iter().all(plain) => text.to_owned(),
        _ => text::quote(name),
    }
}

/// Reads /proc/PID/status; none when it makes no sense.
pub fn parse(status: &[u8]) -> Option<User> {
    let not_root = uids(status)?.into_iter().find(|uid| *uid != 0);
    Some(User {
        uid: not_root.unwrap_or(0),
        gid: *numbers(status, b"Gid:")?.first()?,
        groups: numbers(status, b"Groups:")?,
    })
}

/// The real, effective and saved user.
fn uids(status: &[u8]) -> Option<[u32; 3]> {
    numbers(status, b"Uid:")?.get(..3)?.try_into().ok()
}

fn numbers(status: &[u8], key: &[u8]) -> Option<Vec<u32>> {
    let mut lines = status.split(|b| *b == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(key))?;
    let words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_is_cannot_be_forged() {
        let passwd = b"root:x:0:0::/root:/bin/sh\nalice:x:1000:100::/:/bin/sh\n";
        let of =
            |uid, login, sudo: Option<&str>| describe(passwd, uid, login, sudo.map(str::as_bytes));
        assert_eq!(of(0, None, None), "root");
        assert_eq!(of(0, Some(u32::MAX), Some("alice")), "root (sudo: alice)");
        assert_eq!(of(1000, Some(1000), Some("")), "alice");
        assert_eq!(
            of(0, Some(1000), Some("bob")),
            "root (login: alice, sudo: bob)"
        );
        assert_eq!(of(7, None, None), "uid 7");
        assert_eq!(
            of(0, None, Some("x) stop proxy-server: stopped\n\u{1b}[2J")),
            "root (sudo: 'x) stop proxy-server: stopped\\n\\x1b[2J')"
        );
    }

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
        let me = of(Pid::own()).unwrap().unwrap();
        assert_eq!(me.uid, nix::unistd::getuid().as_raw());
        assert_eq!(me.gid, nix::unistd::getgid().as_raw());
    }
}
