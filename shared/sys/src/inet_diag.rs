//! TCP connections, as the kernel counts them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Instant;

use super::sock_diag::{BY_FAMILY, HEADER, Request};

/// `TCP_ESTABLISHED` in linux/net/tcp_states.h, as a set of states.
const ESTABLISHED: u32 = 1 << 1;
/// Where `inet_diag_msg` in linux/inet_diag.h has the local address.
const SOURCE: usize = HEADER + 8;

/// How many connections are established at a listening address, and whether that is all: counting
/// ends at `deadline`, since each connection takes the kernel and this process some time, and others
/// decide how many there are. Those in TIME_WAIT are passed over by the kernel.
pub fn established(listener: SocketAddr, deadline: Instant) -> io::Result<(usize, bool)> {
    let question = Request::ask(libc::NLM_F_DUMP, &request(listener))?;
    let mut buffer = vec![0; 32 * 1024];
    let mut count = 0;
    loop {
        let length = question.read(&mut buffer)?;
        let mut left = &buffer[..length];
        while let Some((kind, message)) = next(&mut left) {
            match kind {
                BY_FAMILY => count += usize::from(is_at(message, listener.ip())),
                // The end, or an error where the kernel knows no such question.
                _ if i32::from(kind) == libc::NLMSG_DONE => return Ok((count, true)),
                _ => return Err(io::ErrorKind::Unsupported.into()),
            }
        }
        if Instant::now() >= deadline {
            return Ok((count, false));
        }
    }
}

/// How many connections wait in a listening socket's queue to be accepted: for such a socket,
/// `tcpi_unacked` says that (tcp_get_info in net/ipv4/tcp.c).
pub fn waiting(listener: &impl AsFd) -> io::Result<usize> {
    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into the structure, for which zeros are valid.
    let info = unsafe {
        let result = libc::getsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        );
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        info.assume_init()
    };
    Ok(info.tcpi_unacked as usize)
}

/// `inet_diag_req_v2`: established connections of one local port.
fn request(listener: SocketAddr) -> Vec<u8> {
    let family = match listener {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    let mut out = vec![family as u8, libc::IPPROTO_TCP as u8, 0, 0];
    out.extend(ESTABLISHED.to_ne_bytes());
    out.extend(listener.port().to_be_bytes());
    // The other port, both addresses and the interface, which may be any, and no cookie.
    out.extend([0; 38]);
    out.extend([0xff; 8]);
    out
}

/// Takes the next message with its kind; none when what is left is not a whole one.
fn next<'a>(left: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let length = u32::from_ne_bytes(left.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(left.get(4..6)?.try_into().ok()?);
    let message = left.get(..length).filter(|_| length >= HEADER)?;
    *left = left.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, message))
}

/// True for a connection that came in at this address.
fn is_at(message: &[u8], listener: IpAddr) -> bool {
    let local: Option<[u8; 16]> = message
        .get(SOURCE..SOURCE + 16)
        .and_then(|bytes| bytes.try_into().ok());
    let is_same = |local: [u8; 16]| match listener {
        IpAddr::V4(ip) => ip == Ipv4Addr::new(local[0], local[1], local[2], local[3]),
        IpAddr::V6(ip) => ip == Ipv6Addr::from(local),
    };
    listener.is_unspecified() || local.is_some_and(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn connections_are_counted_by_the_address_that_they_came_to() {
        for (ip, others) in [("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")] {
            for bound in [ip, others] {
                let listener = TcpListener::bind(format!("{bound}:0")).unwrap();
                let address = listener.local_addr().unwrap();
                let count = || {
                    (
                        established(address, far()).unwrap(),
                        waiting(&listener).unwrap(),
                    )
                };
                assert_eq!(count(), ((0, true), 0), "{address}");
                let to = format!("{ip}:{}", address.port());
                let _clients = [
                    TcpStream::connect(&to).unwrap(),
                    TcpStream::connect(&to).unwrap(),
                ];
                assert_eq!(count(), ((2, true), 2), "{address}");
                let accepted = listener.accept().unwrap();
                assert_eq!(count(), ((2, true), 1), "{address}");
                drop(accepted);
                assert_eq!(count(), ((1, true), 1), "{address}");
            }
        }
        let other = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.2", port)).unwrap();
        let here = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(established(here, far()).unwrap(), (0, true));
    }

    #[test]
    fn an_answer_that_is_cut_has_no_message() {
        let whole = [&24u32.to_ne_bytes()[..], &[20, 0], &[0; 18]].concat();
        assert_eq!(next(&mut &whole[..]).map(|(kind, _)| kind), Some(20));
        for end in 0..24 {
            assert_eq!(next(&mut &whole[..end]), None);
        }
        assert_eq!(next(&mut &[0; 24][..]), None);
    }
}
