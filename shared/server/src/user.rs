//! Users: by name, and the one as whom this process acts.
//!
//! Names are those of /etc/passwd and /etc/group: a program that is linked statically cannot ask the C
//! library, which loads its modules for that, and a directory in the network could take long.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use swift_cli::text;
use swift_sys::error::reason_of;
use swift_sys::spawn::User;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const NSSWITCH: &str = "/etc/nsswitch.conf";

/// Longer names are cut (LOGIN_NAME_MAX).
const MAX_NAME: usize = 256;

/// The entries of a file such as /etc/passwd, each with that many fields at least.
fn entries(text: &[u8], least: usize) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = text.split(|b| *b == b'\n');
    let entries = lines.map(|line| line.split(|b| *b == b':').collect::<Vec<_>>());
    entries.filter(move |fields| fields.len() >= least)
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The user of that name, with all groups. The error says what is missing.
pub fn find(name: &str) -> Result<User, String> {
    let sources = || fs::read_to_string(NSSWITCH).unwrap_or_default();
    listed(name)?.ok_or_else(|| {
        missing(
            &format!("{PASSWD} has no user {name}"),
            "passwd:",
            &sources(),
        )
    })
}

/// The group of that name. The error says what is missing.
pub fn find_group(name: &str) -> Result<u32, String> {
    let text = fs::read(GROUP).map_err(|e| format!("cannot read {GROUP}: {}", reason_of(&e)))?;
    let sources = || fs::read_to_string(NSSWITCH).unwrap_or_default();
    let found = entries(&text, 3).find(|fields| fields[0] == name.as_bytes());
    let found = found.and_then(|fields| number(fields[2]));
    found.ok_or_else(|| {
        missing(
            &format!("{GROUP} has no group {name}"),
            "group:",
            &sources(),
        )
    })
}

/// Adds which other sources may have what is missing, since the operator may see it there.
fn missing(what: &str, database: &str, nsswitch: &str) -> String {
    match other_sources(database, nsswitch).join(", ").as_str() {
        "" => what.to_owned(),
        others => {
            format!("{what}, and other sources of {NSSWITCH} ({others}) cannot be asked from here")
        }
    }
}

/// The same; none when the files have no such user.
fn listed(name: &str) -> Result<Option<User>, String> {
    let read =
        |path: &str| fs::read(path).map_err(|e| format!("cannot read {path}: {}", reason_of(&e)));
    Ok(search(name, &read(PASSWD)?, &read(GROUP)?))
}

/// The answer to the question for a user of some name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// There is this user.
    User(User),
    /// There is none.
    NoSuchUser,
    /// A source that cannot be asked from here may have one: a directory
    /// service, or a user that systemd makes.
    Unknown,
}

/// Looks a user up as a program would that asks the C library: a user is only
/// missing when the files are all that nsswitch.conf(5) has for users.
pub fn look_up(name: &str) -> Known {
    match listed(name) {
        Ok(Some(user)) => return Known::User(user),
        Ok(None) => {}
        Err(_) => return Known::Unknown,
    }
    let text = fs::read_to_string(NSSWITCH).unwrap_or_default();
    // The directories of nss-systemd(8), in which a file bears the user's name.
    let by_systemd = [
        ("/run/systemd/dynamic-uid/direct:", ""),
        ("/etc/userdb/", ".user"),
        ("/run/userdb/", ".user"),
        ("/run/host/userdb/", ".user"),
        ("/usr/lib/userdb/", ".user"),
    ];
    let may_be = |(before, after)| fs::symlink_metadata(format!("{before}{name}{after}")).is_ok();
    match only_files(&text) && !by_systemd.into_iter().any(may_be) {
        true => Known::NoSuchUser,
        false => Known::Unknown,
    }
}

/// True when nsswitch.conf names no source of users but files and systemd.
fn only_files(nsswitch: &str) -> bool {
    other_sources("passwd:", nsswitch).is_empty()
}

/// The sources that nsswitch.conf names for a database, but for files and systemd.
fn other_sources<'a>(database: &str, nsswitch: &'a str) -> Vec<&'a str> {
    let mut lines = nsswitch.lines().map(str::trim);
    let sources = lines.find_map(|line| line.strip_prefix(database));
    let sources = sources.unwrap_or_default().split('#').next();
    let words = sources.unwrap_or_default().split_whitespace();
    words
        .filter(|word| !word.contains('=') && !matches!(*word, "files" | "systemd"))
        .collect()
}

fn search(name: &str, users: &[u8], groups: &[u8]) -> Option<User> {
    let user = entries(users, 4).find(|fields| fields[0] == name.as_bytes())?;
    let (uid, gid) = (number(user[2])?, number(user[3])?);
    let mut all = vec![gid];
    for group in entries(groups, 4) {
        let mut members = group[3].split(|b| *b == b',');
        if members.any(|member| member == name.as_bytes())
            && let Some(gid) = number(group[2])
            && !all.contains(&gid)
        {
            all.push(gid);
        }
    }
    Some(User {
        uid,
        gid,
        groups: all,
    })
}

/// The user as whom this process acts.
pub fn own() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// True when this process acts as root.
pub fn is_root() -> bool {
    own() == 0
}

/// The user who runs this process, for a log: its real user; the user who logged in, which the kernel
/// keeps (/proc/self/loginuid) and no user can change, where that is another; and what SUDO_USER says,
/// which is only a hint, since everyone can set it. For example `root (login: alice, sudo: alice)`.
pub fn who() -> String {
    let passwd = fs::read(PASSWD).unwrap_or_default();
    let uid = nix::unistd::getuid().as_raw();
    let login = fs::read_to_string("/proc/self/loginuid").ok();
    let login = login.and_then(|text| text.trim().parse().ok());
    let sudo = std::env::var_os("SUDO_USER");
    describe(&passwd, uid, login, sudo.as_deref().map(OsStr::as_bytes))
}

fn describe(passwd: &[u8], uid: u32, login: Option<u32>, sudo: Option<&[u8]>) -> String {
    // (uid_t)-1 stands for no user.
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

/// True when a uid that the kernel shows is that of a user. In a user
/// namespace (user_namespaces(7)) one uid stands for all who have none there.
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
    let mut users = entries(passwd, 3);
    let user = users.find(|fields| fields[2] == uid.as_bytes() && !fields[0].is_empty());
    user.map_or(format!("uid {uid}"), |fields| shown(fields[0]))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_groups() {
        let users = b"root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/false\nbad\n";
        let groups = b"web:x:34:\nlog:x:4:other,web\nx:x:y:web\n";
        let web = search("web", users, groups).unwrap();
        assert_eq!((web.uid, web.gid, web.groups), (33, 34, vec![34, 4]));
        assert_eq!(search("bad", users, groups), None);
        assert_eq!(search("none", users, groups), None);
    }

    #[test]
    fn a_user_is_missing_only_where_no_other_source_may_have_it() {
        assert!(matches!(look_up("root"), Known::User(user) if user.uid == 0));
        assert!(only_files(
            "# passwd: sss\npasswd:\tfiles systemd # sss\ngroup: sss\n"
        ));
        assert!(only_files("passwd: files [NOTFOUND=return] systemd"));
        assert!(only_files(""));
        assert!(!only_files("passwd: files sss\n"));
    }

    #[test]
    fn other_sources_are_named_that_may_have_what_is_missing() {
        let of = |nsswitch| missing("/etc/passwd has no user x", "passwd:", nsswitch);
        assert_eq!(
            of("passwd: files systemd\ngroup: ldap\n"),
            "/etc/passwd has no user x"
        );
        assert_eq!(
            of("passwd: files sss ldap\n"),
            "/etc/passwd has no user x, and other sources of /etc/nsswitch.conf (sss, ldap) cannot be asked from here"
        );
        assert_eq!(find_group("root"), Ok(0));
        let error = find_group("no-such-group").unwrap_err();
        assert!(
            error.starts_with("/etc/group has no group no-such-group"),
            "{error}"
        );
    }

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
}
