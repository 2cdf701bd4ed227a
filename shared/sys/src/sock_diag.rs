//! Questions to the kernel about sockets (sock_diag(7)).

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// `SOCK_DIAG_BY_FAMILY` in linux/sock_diag.h.
pub(crate) const BY_FAMILY: u16 = 20;
/// The size of `nlmsghdr`.
pub(crate) const HEADER: usize = 16;

/// A question that was asked. The kernel answers before send(2) returns, or, where there is more to
/// say than one buffer takes, in recv(2): so no read waits.
pub(crate) struct Request(OwnedFd);

impl Request {
    /// Asks with these flags of netlink(7) and this request.
    pub(crate) fn ask(flags: i32, request: &[u8]) -> io::Result<Request> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkSockDiag,
        )?;
        let length = (HEADER + request.len()) as u32;
        let mut message = Vec::from(length.to_ne_bytes());
        let flags = (libc::NLM_F_REQUEST | flags) as u16;
        message.extend([BY_FAMILY, flags].map(u16::to_ne_bytes).concat());
        // The sequence number and the sender, which the kernel fills in.
        message.extend([0; 8]);
        message.extend(request);
        send(socket.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL)?;
        Ok(Request(socket))
    }

    /// Reads messages of the answer, and says how long they are.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.as_raw_fd(), buffer, MsgFlags::empty())?)
    }
}
