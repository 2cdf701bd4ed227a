//! A stream socket that lies in a directory and takes connections of its owner and of root only.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::socket::{Backlog, SockType, UnixAddr, bind, getsockopt, listen, sockopt};
use nix::sys::stat::{Mode, fchmod};

use super::pid::Pid;
use super::socket::unix;

/// How many connections wait to be accepted.
const BACKLOG: i32 = 16;

/// Listens under a name in an open directory. What lies there already is an error (EADDRINUSE),
/// whatever it is, and no link is followed. Accepting never waits.
pub fn listen_in(dir: &impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let socket = unix(SockType::Stream)?;
    // bind(2) gives the file the mode of the socket's own inode (unix_bind in net/unix/af_unix.c),
    // so that at no moment others may connect; connecting needs the right to write (unix(7)).
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(&path_in(dir, name))?)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

/// A connection to the socket of that name in an open directory, and the process that listens.
pub fn connect_in(dir: &impl AsFd, name: &OsStr) -> io::Result<(OwnedFd, Option<Pid>)> {
    let socket = UnixStream::connect(path_in(dir, name))?;
    let peer = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok((socket.into(), Pid::new(peer.pid())))
}

/// A path through the directory's descriptor: it leads to that very directory whatever is renamed
/// meanwhile, and fits into the 108 bytes of sun_path.
fn path_in(dir: &impl AsFd, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd")
        .join(dir.as_fd().as_raw_fd().to_string())
        .join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::accept;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_its_owners_alone_and_names_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(directory.path()).unwrap();
        let name = OsStr::new(".a");
        let listener = listen_in(&dir, name).unwrap();
        let mode = std::fs::symlink_metadata(directory.path().join(name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        let again = listen_in(&dir, name).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        assert!(accept(&listener).unwrap().is_none());
        let (_socket, peer) = connect_in(&dir, name).unwrap();
        assert_eq!(peer, Some(Pid::own()));
        assert!(accept(&listener).unwrap().is_some());
    }

    #[test]
    fn no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(directory.path()).unwrap();
        std::os::unix::fs::symlink("elsewhere", directory.path().join(".a")).unwrap();
        assert!(listen_in(&dir, OsStr::new(".a")).is_err());
        assert!(!directory.path().join("elsewhere").exists());
    }
}
