//! Listening sockets that this process did not make: proof of what they are.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt,
};
use nix::sys::stat::fstat;

use super::unix_diag;

/// The address on which a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// IPv4 or IPv6.
    Inet(SocketAddr),
    /// A path, at which the socket still lies.
    Path(PathBuf),
}

/// The address on which a stream socket listens; none when the descriptor is no such socket, or has no
/// address by which clients reach it.
pub fn address(fd: &impl AsFd) -> io::Result<Option<Local>> {
    let is_listening = match getsockopt(&fd.as_fd(), sockopt::AcceptConn) {
        Err(Errno::ENOTSOCK) => false,
        answer => answer?,
    };
    if !is_listening || getsockopt(&fd.as_fd(), sockopt::SockType)? != SockType::Stream {
        return Ok(None);
    }
    let name: SockaddrStorage = getsockname(fd.as_fd().as_raw_fd())?;
    if name.family().is_none() {
        return Ok(None);
    }
    let v4 = name
        .as_sockaddr_in()
        .map(|one| SocketAddrV4::from(*one).into());
    let v6 = name
        .as_sockaddr_in6()
        .map(|one| SocketAddrV6::from(*one).into());
    if let Some(address) = v4.or(v6) {
        return Ok(Some(Local::Inet(address)));
    }
    let path = name.as_unix_addr().and_then(|one| one.path());
    let is_there = path.is_some_and(|path| lies_at(fd, path));
    Ok(path
        .filter(|_| is_there)
        .map(|path| Local::Path(path.to_owned())))
}

/// True when the file of a bound socket is the one at its path: it may have been removed, and another
/// socket been bound there.
fn lies_at(fd: &impl AsFd, path: &Path) -> bool {
    let Ok(file) = std::fs::symlink_metadata(path) else {
        return false;
    };
    let inode = fstat(fd)
        .ok()
        .and_then(|status| u32::try_from(status.st_ino).ok());
    let bound = inode.and_then(|inode| unix_diag::file(inode).ok());
    // The kernel tells 32 bits of it.
    path.is_absolute() && bound == Some(file.ino() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn only_what_listens_has_an_address() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(at).unwrap();
            let local = listener.local_addr().unwrap();
            assert_eq!(address(&listener).unwrap(), Some(Local::Inet(local)));
            let connected = TcpStream::connect(local).unwrap();
            assert_eq!(address(&connected).unwrap(), None);
        }
        assert_eq!(
            address(&UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap(),
            None
        );
        assert_eq!(address(&UnixStream::pair().unwrap().0).unwrap(), None);
        assert_eq!(
            address(&std::fs::File::open("/dev/null").unwrap()).unwrap(),
            None
        );
    }

    /// Fails when a path that another socket has by now is believed.
    #[test]
    fn a_path_counts_while_the_socket_lies_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let one = UnixListener::bind(&path).unwrap();
        assert_eq!(address(&one).unwrap(), Some(Local::Path(path.clone())));
        // Its inode is kept, so that the next file has another one.
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        assert_eq!(address(&one).unwrap(), None);
        let other = UnixListener::bind(&path).unwrap();
        assert_eq!(address(&one).unwrap(), None);
        assert_eq!(address(&other).unwrap(), Some(Local::Path(path)));
    }
}
