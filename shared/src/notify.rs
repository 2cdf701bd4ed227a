//! What a server announces of itself.
//!
//! Swift's servers send `READY=1`, `RELOADING=1` and `STOPPING=1` to systemd's
//! NOTIFY_SOCKET, and also to an abstract datagram socket that is named after
//! their process number (get_pid_notify_socket in swift/common/utils). Whoever
//! wants to hear it has to bind that name first; since only one can, the name
//! is also the lock between two who would reload the same server.

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials,
    bind, recvmsg, setsockopt, socket, sockopt,
};

use crate::process::Pid;

/// The longest notification that is taken; longer ones are cut.
const LONGEST: usize = 8192;

/// One line of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// READY=1.
    Ready,
    /// RELOADING=1.
    Reloading,
    /// STOPPING=1.
    Stopping,
    /// Anything else, as it came.
    Other(Vec<u8>),
}

/// How a server of swift-serve says, beside READY=1, that its reload failed and
/// its old generation serves on. What follows is why.
pub const REFUSED: &str = "X_SWIFT_RELOAD=failed";

impl Notice {
    /// Why a reload failed, when the line says that it did.
    pub fn refused(&self) -> Option<&[u8]> {
        match self {
            Notice::Other(line) => Some(line.strip_prefix(REFUSED.as_bytes())?.trim_ascii()),
            _ => None,
        }
    }

    fn parse(line: &[u8]) -> Notice {
        match line {
            b"READY=1" => Notice::Ready,
            b"RELOADING=1" => Notice::Reloading,
            b"STOPPING=1" => Notice::Stopping,
            other => Notice::Other(other.to_vec()),
        }
    }
}

/// How many notifications are taken in before others get their turn: anybody on
/// this network can send any number of them.
pub const TURN: usize = 256;

/// The socket to which one server sends its notifications.
#[derive(Debug)]
pub struct Notices {
    socket: OwnedFd,
    pid: Pid,
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn name(pid: Pid) -> Vec<u8> {
    format!("swift-notifications\0{pid}").into_bytes()
}

impl Notices {
    /// Binds the name of a process. EADDRINUSE when somebody else has it.
    pub fn bind(pid: Pid) -> io::Result<Notices> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        // Before the name is bound, so that no notification comes without its
        // sender's credentials.
        setsockopt(&socket, sockopt::PassCred, &true)?;
        bind(socket.as_raw_fd(), &UnixAddr::new_abstract(&name(pid))?)?;
        Ok(Notices { socket, pid })
    }

    /// The lines of the next notification that the process itself sent; those
    /// of anybody else are passed over. None when no more have come, or so many
    /// of others that it is somebody else's turn: the descriptor stays readable.
    pub fn receive(&self) -> io::Result<Option<Vec<Notice>>> {
        let mut buffer = vec![0; LONGEST];
        for _ in 0..TURN {
            let mut space = cmsg_space!(UnixCredentials);
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
            let (length, sender) =
                match recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
                    Ok(message) => (
                        message.bytes,
                        message
                            .cmsgs()
                            .ok()
                            .and_then(|mut all| all.find_map(sender)),
                    ),
                    Err(nix::Error::EAGAIN) => return Ok(None),
                    Err(nix::Error::EINTR) => continue,
                    Err(e) => return Err(e.into()),
                };
            if sender == Some(self.pid.number()) {
                let lines = buffer[..length]
                    .split(|b| *b == b'\n')
                    .filter(|line| !line.is_empty());
                return Ok(Some(lines.map(Notice::parse).collect()));
            }
        }
        Ok(None)
    }
}

fn sender(message: ControlMessageOwned) -> Option<i32> {
    match message {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
        _ => None,
    }
}

/// Who has bound a process's name, as far as this process may see: found by the
/// socket's inode in /proc/net/unix and among the descriptors of all processes.
pub fn holder(pid: Pid) -> Option<Pid> {
    let shown = format!(
        "@{}",
        String::from_utf8_lossy(&name(pid)).replace('\0', "@")
    );
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    let line = table
        .lines()
        .find(|line| line.split_ascii_whitespace().nth(7) == Some(&shown))?;
    let wanted = format!("socket:[{}]", line.split_ascii_whitespace().nth(6)?);
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = Pid::parse(entry.file_name().as_encoded_bytes())?;
        let mut fds = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        fds.any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
            .then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn send(to: Pid, what: &[u8]) {
        let address = SocketAddr::from_abstract_name(name(to)).unwrap();
        UnixDatagram::unbound()
            .unwrap()
            .send_to_addr(what, &address)
            .unwrap();
    }

    #[test]
    fn only_the_process_itself_is_believed() {
        let me = Pid::new(std::process::id() as i32).unwrap();
        let mine = Notices::bind(me).unwrap();
        assert_eq!(mine.receive().unwrap(), None);
        send(me, b"RELOADING=1\nMONOTONIC_USEC=5\n");
        assert_eq!(
            mine.receive().unwrap(),
            Some(vec![
                Notice::Reloading,
                Notice::Other(b"MONOTONIC_USEC=5".to_vec())
            ])
        );
        // No process has this number: the kernel's highest is 2^22.
        let other = Pid::new(1 << 23).unwrap();
        let others = Notices::bind(other).unwrap();
        send(other, b"READY=1");
        assert_eq!(others.receive().unwrap(), None);
    }

    #[test]
    fn one_listens_at_a_time_and_is_found() {
        let pid = Pid::new((1 << 23) + 1).unwrap();
        let _first = Notices::bind(pid).unwrap();
        let error = Notices::bind(pid).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(holder(pid), Pid::new(std::process::id() as i32));
    }
}
