//! Users by name, from /etc/passwd and /etc/group: a program that is linked
//! statically cannot ask the C library, which loads its modules for that.

use std::fs;

use swift_sys::error::reason_of;
use swift_sys::spawn::User;

/// The user of that name, with all groups. The error says what is missing.
pub fn find(name: &str) -> Result<User, String> {
    listed(name)?.ok_or_else(|| format!("/etc/passwd has no user {name}"))
}

/// The same; none when the files have no such user.
fn listed(name: &str) -> Result<Option<User>, String> {
    let read = |path: &str| {
        fs::read(path)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .map_err(|e| format!("cannot read {path}: {}", reason_of(&e)))
    };
    Ok(search(name, &read("/etc/passwd")?, &read("/etc/group")?))
}

/// What is known of a user name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// There is this user.
    User(User),
    /// There is none.
    Nobody,
    /// A source that cannot be asked from here may have one: a directory
    /// service, or a user that systemd makes.
    Unknown,
}

/// Looks a user up as a program would that asks the C library: none is only
/// missing when the files are all that nsswitch.conf(5) has for users.
pub fn look_up(name: &str) -> Known {
    match listed(name) {
        Ok(Some(user)) => return Known::User(user),
        Ok(None) => {}
        Err(_) => return Known::Unknown,
    }
    let text = fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
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
        true => Known::Nobody,
        false => Known::Unknown,
    }
}

/// Whether nsswitch.conf names no source of users but files and systemd.
fn only_files(nsswitch: &str) -> bool {
    let mut lines = nsswitch.lines().map(str::trim);
    let Some(sources) = lines.find_map(|line| line.strip_prefix("passwd:")) else {
        return true;
    };
    let sources = sources.split('#').next().unwrap_or_default();
    let mut words = sources
        .split_whitespace()
        .filter(|word| !word.contains('='));
    words.all(|word| matches!(word, "files" | "systemd"))
}

fn search(name: &str, users: &str, groups: &str) -> Option<User> {
    let mut lines = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields[0] == name && fields.len() >= 4)?;
    let (uid, gid) = (fields[2].parse().ok()?, fields[3].parse().ok()?);
    let mut all: Vec<u32> = vec![gid];
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let has_it = fields.len() >= 4 && fields[3].split(',').any(|member| member == name);
        if has_it
            && let Ok(number) = fields[2].parse()
            && !all.contains(&number)
        {
            all.push(number);
        }
    }
    Some(User {
        uid,
        gid,
        groups: all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_groups() {
        let users = "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/false\nbad\n";
        let groups = "web:x:34:\nlog:x:4:other,web\nx:x:y:web\n";
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
}
