//! Access to files with another user's rights.

use std::io;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use super::spawn::User;
use super::thread::in_thread;

/// Does some work with the rights that a user has to files. An error when this
/// process cannot get them; it has to be root.
///
/// The work is done in a thread of its own, whose rights these are and which ends
/// with them. Only the user and groups for access to files change (setfsuid(2)), and
/// with them the capabilities to override permissions go; the user can neither
/// signal nor trace this process meanwhile.
pub fn with_rights_of<T: Send>(user: &User, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    in_thread(|| {
        take(user)?;
        Ok(work())
    })
}

/// Changes the calling thread alone: the C library's setgroups(3) would change
/// all threads of the process.
fn take(user: &User) -> io::Result<()> {
    let groups = &user.groups;
    // SAFETY: the list of groups is as long as is said, and only read.
    let set = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    Errno::result(set)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    // Neither call has an error: both return what was before.
    setfsgid(gid);
    setfsuid(uid);
    let none = u32::MAX;
    match (setfsgid(Gid::from_raw(none)), setfsuid(Uid::from_raw(none))) == (gid, uid) {
        true => Ok(()),
        false => Err(Errno::EPERM.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn rights_are_those_of_the_user_and_end_with_the_look() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let user = |groups: &[u32]| User {
            uid: 65533,
            gid: 65533,
            groups: groups.to_vec(),
        };
        let may_read = |groups: &[u32]| with_rights_of(&user(groups), || fs::read(&file).is_ok());
        if !nix::unistd::geteuid().is_root() {
            assert!(may_read(&[]).is_err());
            return;
        }
        std::os::unix::fs::chown(&file, None, Some(65531)).unwrap();
        assert!(!may_read(&[]).unwrap());
        assert!(may_read(&[65531]).unwrap());
        assert!(fs::read(&file).is_ok());
    }
}
