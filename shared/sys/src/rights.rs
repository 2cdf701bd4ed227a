//! Looking at files with another user's rights.

use std::io;

use super::spawn::User;

/// Does what `look` does with the rights that this user has to files, for which
/// one has to be root. An error when the rights cannot be had.
///
/// It is done in a thread of its own, whose rights these are and which ends with
/// them. Only the user and groups for access to files change (setfsuid(2)), and
/// with them the capabilities to override permissions go; the user can neither
/// signal nor trace this process meanwhile.
pub fn with_rights_of<T: Send>(user: &User, look: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            take(user)?;
            Ok(look())
        })?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread has panicked")))
    })
}

/// Changes the calling thread alone: the C library's setgroups(3) would change
/// all threads of the process.
fn take(user: &User) -> io::Result<()> {
    let groups = &user.groups;
    // SAFETY: the list of groups is as long as is said, and only read.
    let set = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    // Neither call has an error: both return what was before.
    // SAFETY: they take numbers.
    let now = unsafe {
        libc::syscall(libc::SYS_setfsgid, user.gid);
        libc::syscall(libc::SYS_setfsuid, user.uid);
        (
            libc::syscall(libc::SYS_setfsgid, u32::MAX),
            libc::syscall(libc::SYS_setfsuid, u32::MAX),
        )
    };
    match now == (i64::from(user.gid), i64::from(user.uid)) {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(libc::EPERM)),
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
