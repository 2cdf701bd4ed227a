//! Listen sockets, and datagrams to and from other processes.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixName, UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrStorage,
    UnixAddr, accept4, bind, connect, getsockname, getsockopt, listen, sendmsg, setsockopt, socket,
    sockopt,
};

use super::epoll::deadline_in;
use super::fd::{retry, wait_for, wait_writable};

/// How many connections may wait to be accepted; net.core.somaxconn is the
/// limit that counts when it is lower.
const BACKLOG: i32 = 4096;

/// A Unix socket. Neither accepting nor writing waits.
pub(crate) fn unix(kind: SockType) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Unix, kind, flags, None)?)
}

/// A TCP socket for an address that another socket may have had just now.
fn tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    Ok(socket)
}

/// A socket that listens on a TCP address. With `v6_only`, one for `[::]` takes no IPv4 connections
/// (IPV6_V6ONLY of ipv6(7)), so that both can be listened on side by side.
pub fn listen_tcp(address: SocketAddr, v6_only: bool) -> io::Result<OwnedFd> {
    let socket = tcp(address)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &v6_only)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

/// Lets a listen socket listen as its maker left it: with the full queue and without a filter, also after
/// shutdown(2). Any process that shares the socket can have changed that. `false` for a Unix socket
/// that was shut down: it refuses connections for good.
pub fn listen_again(listener: &impl AsFd) -> io::Result<bool> {
    // No filter was there, or it is locked, and with it (SO_LOCK_FILTER) the socket stays as it is.
    let _ = set_option(listener, libc::SO_DETACH_FILTER, &0);
    listen(&listener.as_fd(), Backlog::new(BACKLOG)?)?;
    Ok(!is_shut_down(listener)?)
}

/// True when a process has called shutdown(2) on a listen socket.
pub fn is_shut_down(listener: &impl AsFd) -> io::Result<bool> {
    // POLLHUP is always reported, and nix has no name for the other one.
    wait_for(
        listener,
        PollFlags::from_bits_retain(libc::POLLRDHUP),
        Some(Instant::now()),
    )
}

/// True when an IPv6 socket takes no IPv4 connections.
pub fn is_v6_only(socket: &impl AsFd) -> bool {
    getsockopt(&socket.as_fd(), sockopt::Ipv6V6Only).unwrap_or(false)
}

/// Binds a socket to a TCP address as Swift's servers do (eventlet.listen: with
/// SO_REUSEADDR and SO_REUSEPORT), and closes it without having listened: no
/// connection can reach it.
pub fn try_bind(address: SocketAddr) -> io::Result<()> {
    let socket = tcp(address)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    Ok(bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?)
}

/// The mode and the owner of a unix socket's file, which say who may connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Access {
    /// The mode; none for what the umask leaves.
    pub mode: Option<u32>,
    /// The user, when it is not this process's own.
    pub user: Option<u32>,
    /// The group, when it is not this process's own.
    pub group: Option<u32>,
}

/// A socket that listens on a path. What lies there already is an error
/// (EADDRINUSE), whatever it is. Its file has its mode and owner before anyone can connect.
pub fn listen_unix(path: &Path, access: Access) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    let ready = grant(path, access).and_then(|()| Ok(listen(&socket, Backlog::new(BACKLOG)?)?));
    if let Err(e) = ready {
        let _ = std::fs::remove_file(path);
        return Err(e);
    }
    Ok(socket)
}

/// Gives the file of a unix socket its mode and its owner. Others may own its directory: so nothing but a
/// socket is touched, through no link.
pub fn grant(path: &Path, access: Access) -> io::Result<()> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
    if access == Access::default() {
        return Ok(());
    }
    let mut options = std::fs::File::options();
    options.custom_flags(libc::O_PATH | libc::O_NOFOLLOW);
    let file = options.read(true).open(path)?;
    let status = file.metadata()?;
    if !status.file_type().is_socket() || status.nlink() != 1 {
        return Err(io::Error::other("another file lies in its place"));
    }
    let same_file = format!("/proc/self/fd/{}", file.as_raw_fd());
    let owner = (access.user, access.group);
    if owner != (None, None) && owner != (Some(status.uid()), Some(status.gid())) {
        std::os::unix::fs::chown(&same_file, access.user, access.group)?;
    }
    match access.mode {
        Some(mode) => {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(same_file, std::fs::Permissions::from_mode(mode))
        }
        None => Ok(()),
    }
}

/// True when no process listens on the socket that lies at a path.
pub fn is_deserted(path: &Path) -> io::Result<bool> {
    let socket = unix(SockType::Stream)?;
    match connect(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        Err(Errno::ECONNREFUSED) => Ok(true),
        Ok(()) | Err(Errno::EAGAIN) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// A socket that listens on an abstract name. Accepting never waits.
pub fn listen_abstract(name: &[u8]) -> io::Result<OwnedFd> {
    let listener = UnixListener::bind_addr(&UnixName::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

/// The next connection, if there is one; writing to it never waits.
pub fn accept(listener: &impl AsFd) -> io::Result<Option<OwnedFd>> {
    use std::os::fd::FromRawFd as _;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    match accept4(listener.as_fd().as_raw_fd(), flags) {
        // SAFETY: accept4 has just made this descriptor, which nothing else owns.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(Errno::EAGAIN | Errno::ECONNABORTED | Errno::EINTR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// A connection to an abstract name, and the process that listens there.
pub fn connect_abstract(name: &[u8]) -> io::Result<(OwnedFd, Sender)> {
    let socket = UnixStream::connect_addr(&UnixName::from_abstract_name(name)?)?;
    let peer = getsockopt(&socket, sockopt::PeerCredentials)?;
    let listener = Sender {
        pid: peer.pid(),
        user: peer.uid(),
    };
    Ok((socket.into(), listener))
}

/// Two connected sockets.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = UnixStream::pair()?;
    Ok((one.into(), other.into()))
}

/// Ends what is sent on a connected socket: its other side reads to the end.
pub fn end_sending(socket: &impl AsFd) -> io::Result<()> {
    use nix::sys::socket::{Shutdown, shutdown};
    Ok(shutdown(socket.as_fd().as_raw_fd(), Shutdown::Write)?)
}

/// A datagram socket with an abstract name that the kernel chose, and that name
/// as NOTIFY_SOCKET has it: with `@` in the place of the zero byte.
pub fn mailbox() -> io::Result<(OwnedFd, String)> {
    let socket = bind_mailbox(&UnixAddr::new_unnamed())?;
    let address: UnixAddr = getsockname(socket.as_raw_fd())?;
    let name = address
        .as_abstract()
        .ok_or_else(|| io::Error::other("the kernel chose no name"))?;
    Ok((socket, format!("@{}", String::from_utf8_lossy(name))))
}

/// A datagram socket with this abstract name.
pub fn named_mailbox(name: &[u8]) -> io::Result<OwnedFd> {
    bind_mailbox(&UnixAddr::new_abstract(name)?)
}

/// PassCred comes first, so that no datagram arrives without its sender's credentials.
fn bind_mailbox(address: &UnixAddr) -> io::Result<OwnedFd> {
    let socket = unix(SockType::Datagram)?;
    setsockopt(&socket, sockopt::PassCred, &true)?;
    bind(socket.as_raw_fd(), address)?;
    Ok(socket)
}

/// The next datagram and the user who sent it; none when no more have come.
pub fn receive(mailbox: &impl AsFd) -> io::Result<Option<(Vec<u8>, u32)>> {
    let mut buffer = vec![0; 4096];
    while let Some((length, sender)) = receive_from(mailbox, &mut buffer)? {
        if let Some(sender) = sender {
            buffer.truncate(length);
            return Ok(Some((buffer, sender.user)));
        }
    }
    Ok(None)
}

/// The process that sent a datagram, or that listens, as the kernel says (`SO_PASSCRED` and `SO_PEERCRED`
/// of unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its pid; 0 when it is in no pid namespace that this process can see.
    pub pid: i32,
    /// Its user.
    pub user: u32,
}

/// The length of the next datagram, which is cut to the buffer's, and its sender;
/// none when no more have come. There is room for the sender and for nothing
/// else, so that descriptors which were sent along are never opened here; that
/// they were cut off (`MSG_CTRUNC`) does not matter to the rest.
pub fn receive_from(
    socket: &impl AsFd,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, Option<Sender>)>> {
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // As much as CMSG_SPACE(3) of the structure, and aligned as a header is.
    let mut control = [0_u64; 4];
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: what is zero in the structure is allowed to be.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let received = retry(|| {
        // SAFETY: the parts and the control buffer are as long as is said and outlive the call.
        Errno::result(unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, flags) })
    });
    match received {
        // SAFETY: recvmsg has filled the message in.
        Ok(length) => Ok(Some((length as usize, unsafe { sender_of(&message) }))),
        Err(Errno::EAGAIN) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The sender, which the kernel puts in front of all else.
///
/// # Safety
/// The message has to be one that recvmsg filled in.
unsafe fn sender_of(message: &libc::msghdr) -> Option<Sender> {
    // SAFETY: the header is whole where its length says so, and what follows it
    // may be unaligned.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message).as_ref()?;
        let whole = libc::CMSG_LEN(size_of::<libc::ucred>() as u32) as usize;
        let is_sender = (header.cmsg_level, header.cmsg_type)
            == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS)
            && header.cmsg_len as usize >= whole;
        is_sender.then(|| {
            let who = libc::CMSG_DATA(header)
                .cast::<libc::ucred>()
                .read_unaligned();
            Sender {
                pid: who.pid,
                user: who.uid,
            }
        })
    }
}

/// Sends a datagram to a socket of that path, or of that abstract name when it
/// begins with a zero byte. Never waits.
pub fn send(to: &[u8], what: &[u8]) -> io::Result<()> {
    send_within(to, what, None, Duration::ZERO)
}

/// The same, with a descriptor that goes along, and waiting that long for room
/// in the other socket's queue (net.unix.max_dgram_qlen).
pub fn send_within(
    to: &[u8],
    what: &[u8],
    along: Option<&OwnedFd>,
    wait: Duration,
) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let address = match to.strip_prefix(b"\0") {
        Some(name) => UnixAddr::new_abstract(name)?,
        None => UnixAddr::new(Path::new(std::ffi::OsStr::from_bytes(to)))?,
    };
    let socket = unix(SockType::Datagram)?;
    // poll(2) tells of room only where the socket is connected.
    connect(socket.as_raw_fd(), &address)?;
    let deadline = deadline_in(wait);
    let fds: Vec<_> = along.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights };
    let parts = [io::IoSlice::new(what)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match retry(|| sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None)) {
            Err(Errno::EAGAIN) if wait_writable(&socket, deadline)? => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Lets a TCP listen socket take no new connections, while those that have
/// begun are completed and wait to be accepted: drops every segment that has
/// SYN and not ACK. A client that tries to connect meanwhile tries again a second
/// later, and is refused then.
pub fn refuse_newcomers(listener: &impl AsFd) -> io::Result<()> {
    // The filter sees the segment from its TCP header on; the flags are byte 13.
    let code = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let load_byte = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    let and = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let done = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut program = [
        code(load_byte, 0, 0, 13),
        code(and, 0, 0, 0x12),
        code(equal, 0, 1, 0x02),
        code(done, 0, 0, 0),
        code(done, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // The kernel copies the program, which is as long as is said.
    set_option(listener, libc::SO_ATTACH_FILTER, &filter)
}

/// Sets an option for which nix has no name.
fn set_option<T>(socket: &impl AsFd, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: the value is as long as is said, and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    Ok(Errno::result(result).map(drop)?)
}

/// The address that a TCP socket has.
pub fn local_address(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let socket = TcpListener::from(socket.try_clone_to_owned().ok()?);
    socket.local_addr().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::time::Duration;

    #[test]
    fn a_closed_door_lets_those_inside_finish() {
        let listener = listen_tcp("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = local_address(listener.as_fd()).unwrap();
        let inside = TcpStream::connect(address).unwrap();
        refuse_newcomers(&listener).unwrap();
        let error = TcpStream::connect_timeout(&address, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let accepted = accept(&listener).unwrap().unwrap();
        super::super::fd::write(&accepted, b"x").unwrap();
        let mut byte = [0];
        assert_eq!(super::super::fd::read(&inside, &mut byte).unwrap(), 1);
    }

    #[test]
    fn a_listener_that_was_changed_listens_again() {
        // A port that the kernel has chosen goes with the shutdown, one that was asked for stays.
        let free = listen_tcp("127.0.0.77:0".parse().unwrap(), false).unwrap();
        let address = local_address(free.as_fd()).unwrap();
        drop(free);
        let listener = listen_tcp(address, false).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(50));
        assert!(!is_shut_down(&listener).unwrap());
        nix::sys::socket::shutdown(listener.as_raw_fd(), nix::sys::socket::Shutdown::Read).unwrap();
        assert!(is_shut_down(&listener).unwrap());
        assert!(connect().is_err());
        assert!(listen_again(&listener).unwrap());
        connect().unwrap();
        refuse_newcomers(&listener).unwrap();
        assert!(connect().is_err());
        assert!(listen_again(&listener).unwrap());
        connect().unwrap();
    }

    #[test]
    fn a_unix_socket_that_was_shut_down_is_told_from_others() {
        let directory = tempfile::tempdir().unwrap();
        let listener = listen_unix(&directory.path().join("s"), Access::default()).unwrap();
        assert!(listen_again(&listener).unwrap());
        nix::sys::socket::shutdown(listener.as_raw_fd(), nix::sys::socket::Shutdown::Read).unwrap();
        assert!(is_shut_down(&listener).unwrap());
        assert!(!listen_again(&listener).unwrap());
    }

    #[test]
    fn a_mailbox_is_sent_to_by_its_name() {
        let (mailbox, name) = mailbox().unwrap();
        assert_eq!(receive(&mailbox).unwrap(), None);
        send(name.replace('@', "\0").as_bytes(), b"READY=1").unwrap();
        let (what, user) = receive(&mailbox).unwrap().unwrap();
        assert_eq!(what, b"READY=1");
        assert_eq!(user, nix::unistd::getuid().as_raw());
    }

    #[test]
    fn a_path_without_a_listener_is_deserted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = listen_unix(&path, Access::default()).unwrap();
        assert!(!is_deserted(&path).unwrap());
        drop(listener);
        assert!(is_deserted(&path).unwrap());
        assert_eq!(
            listen_unix(&path, Access::default()).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }
}
