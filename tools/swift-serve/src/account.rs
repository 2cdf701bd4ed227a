//! Users by name, from /etc/passwd and /etc/group: a program that is linked
//! statically cannot ask the C library, which loads its modules for that.

use std::fs;

use shared::sys::spawn::User;

/// The user of that name, with all groups. The error says what is missing.
pub fn find(name: &str) -> Result<User, String> {
    let read = |path: &str| {
        fs::read(path)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .map_err(|e| format!("cannot read {path}: {}", shared::pidfile::reason_of(&e)))
    };
    search(name, &read("/etc/passwd")?, &read("/etc/group")?)
        .ok_or_else(|| format!("/etc/passwd has no user {name}"))
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
}
