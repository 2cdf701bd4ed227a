//! Notifications that a server sends.
//!
//! Swift's servers send `READY=1`, `RELOADING=1` and `STOPPING=1` to systemd's
//! NOTIFY_SOCKET, and also to an abstract datagram socket that is named after
//! their pid (get_pid_notify_socket in swift/common/utils). A listener has to bind
//! that name first; since only one can, the name is also the lock between two
//! reloads of the same server.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::{process, user};
use swift_sys::pid::Pid;
use swift_sys::socket::{named_mailbox, receive_from};
use swift_sys::{netns, unix_diag};

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

/// The line with which swift-serve reports, beside READY=1, that its reload failed
/// and its old generation serves on. The reason follows.
pub const REFUSED: &str = "X_SWIFT_RELOAD=failed";

impl Notice {
    /// The reason why a reload failed, when the line says that it did.
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

/// How many notifications are read in a row: any process in this network
/// namespace can send any number of them.
pub const READ_BUDGET: usize = 256;

/// The socket to which one server sends its notifications.
#[derive(Debug)]
pub struct Notifications {
    socket: OwnedFd,
    pid: Pid,
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn name(pid: Pid) -> Vec<u8> {
    format!("swift-notifications\0{pid}").into_bytes()
}

impl Notifications {
    /// Binds the name of a process, in its network namespace. EADDRINUSE when another socket has it,
    /// EADDRNOTAVAIL when that namespace may not be entered.
    pub fn bind(pid: Pid) -> io::Result<Notifications> {
        let socket = netns::in_that_of(pid, || named_mailbox(&name(pid)))?;
        Ok(Notifications { socket, pid })
    }

    /// The lines of the next notification that the process itself sent; those of
    /// other processes are ignored. None when no more have come, or after
    /// [`READ_BUDGET`] of other processes: the descriptor stays readable.
    pub fn receive(&self) -> io::Result<Option<Vec<Notice>>> {
        let mut buffer = vec![0; LONGEST];
        for _ in 0..READ_BUDGET {
            let Some((length, sender)) = receive_from(&self.socket, &mut buffer)? else {
                return Ok(None);
            };
            if sender.is_some_and(|sender| sender.pid == self.pid.raw()) {
                let lines = buffer[..length]
                    .split(|b| *b == b'\n')
                    .filter(|line| !line.is_empty());
                return Ok(Some(lines.map(Notice::parse).collect()));
            }
        }
        Ok(None)
    }
}

/// The holder of a process's notification socket, as far as this process may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process that has the socket, found among the descriptors of all
    /// processes. None while the socket lies in a queue (SCM_RIGHTS in unix(7)),
    /// or its process is hidden from this one.
    pub pid: Option<Pid>,
    /// The user who made the socket, as the kernel says; where it is not asked
    /// (sock_diag(7)), the user of that process.
    pub uid: Option<u32>,
}

/// Finds the holder of a process's notification socket. None when the name is free,
/// and when two sockets are made to look like it.
pub fn holder(pid: Pid) -> Option<Holder> {
    let inode = inode(pid)?;
    let wanted = format!("socket:[{inode}]");
    let mut pids = process::pids().into_iter().flatten().flatten();
    let pid = pids.find(|pid| process::has_open(*pid, &wanted).unwrap_or(false));
    let uid = unix_diag::owner(inode).ok();
    let uid = uid.or_else(|| Some(process::user(pid?).ok()??.uid));
    Some(Holder {
        pid,
        uid: uid.filter(|uid| user::is_known(*uid)),
    })
}

/// The inode of the socket that has a process's name, as /proc/net/unix shows it.
fn inode(pid: Pid) -> Option<u32> {
    let mut shown = [b"@", &*name(pid)].concat();
    shown
        .iter_mut()
        .filter(|b| **b == 0)
        .for_each(|b| *b = b'@');
    // Names of others may hold any byte, and so a line that looks like ours.
    let table = fs::read("/proc/net/unix").ok()?;
    let inode = |line: &[u8]| {
        let mut words = line
            .split(|b| b.is_ascii_whitespace())
            .filter(|w| !w.is_empty());
        let inode = words.nth(6)?.to_vec();
        (words.next() == Some(&*shown)).then_some(inode)
    };
    let mut found = table.split(|b| *b == b'\n').filter_map(inode);
    match (found.next(), found.next()) {
        (Some(inode), None) => std::str::from_utf8(&inode).ok()?.parse().ok(),
        _ => None,
    }
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

    fn me() -> Holder {
        Holder {
            pid: Some(Pid::own()),
            uid: Some(nix::unistd::geteuid().as_raw()),
        }
    }

    #[test]
    fn only_the_process_itself_is_believed() {
        let me = Pid::own();
        let mine = Notifications::bind(me).unwrap();
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
        let others = Notifications::bind(other).unwrap();
        send(other, b"READY=1");
        assert_eq!(others.receive().unwrap(), None);
    }

    /// Fails when room that descriptors do not fit into spoils the notification, or when one is opened.
    #[test]
    fn descriptors_that_come_along_are_left_where_they_are() {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
        use std::os::fd::AsRawFd as _;
        let me = Pid::own();
        // A name of its own, since another test has this process's.
        let mine = Notifications {
            socket: swift_sys::socket::mailbox().unwrap().0,
            pid: me,
        };
        let address: UnixAddr = nix::sys::socket::getsockname(mine.socket.as_raw_fd()).unwrap();
        let (read, write) = swift_sys::fd::pipe().unwrap();
        let fds = [read.as_raw_fd(); 64];
        let from = UnixDatagram::unbound().unwrap();
        let parts = [std::io::IoSlice::new(b"READY=1")];
        let along = [ControlMessage::ScmRights(&fds)];
        let flags = MsgFlags::empty();
        sendmsg(from.as_raw_fd(), &parts, &along, flags, Some(&address)).unwrap();
        assert_eq!(mine.receive().unwrap(), Some(vec![Notice::Ready]));
        // The writer's end is an error once no reader's end is open; until then, a process that another
        // test is starting may hold one, up to its exec.
        drop(read);
        let mut end = [PollFd::new(write.as_fd(), PollFlags::empty())];
        assert_eq!(poll(&mut end, PollTimeout::from(60_000_u16)), Ok(1));
        assert_eq!(end[0].revents(), Some(PollFlags::POLLERR));
    }

    /// Fails when a name that is no text, or a false line in one, hides the holder or blames another.
    #[test]
    fn names_of_others_blame_no_process() {
        let pid = Pid::new((1 << 23) + 2).unwrap();
        let _mine = Notifications::bind(pid).unwrap();
        let bind = |name: &[u8]| {
            let address = SocketAddr::from_abstract_name(name).unwrap();
            UnixDatagram::bind_addr(&address).unwrap()
        };
        let _odd = bind(format!("\u{e9}{pid}").as_bytes());
        let _bytes = bind(&[b"\xff\xfe".as_slice(), pid.to_string().as_bytes()].concat());
        assert_eq!(holder(pid), Some(me()));
        let line = format!("x\n0: 2 0 10000 1 1 1 @swift-notifications@{pid}");
        let _false = bind(line.as_bytes());
        assert_eq!(holder(pid), None);
    }

    #[test]
    fn one_listens_at_a_time_and_is_found() {
        let pid = Pid::new((1 << 23) + 1).unwrap();
        let _first = Notifications::bind(pid).unwrap();
        let error = Notifications::bind(pid).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(holder(pid), Some(me()));
    }
}
