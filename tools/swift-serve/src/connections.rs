//! How many connections there are, from /proc/net/tcp (proc_pid_net(5)).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;

use swift_sys::socket;

use crate::address::Address;
use crate::sockets::Listener;

/// The states' numbers in include/net/tcp_states.h of Linux.
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// What is known of the connections to some listeners; unix sockets do not
/// tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Established ones.
    pub open: usize,
    /// Those among them that wait to be accepted.
    pub waiting: usize,
}

/// Counts those of these listeners.
pub fn count(listeners: &[Listener]) -> Count {
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .filter(|listener| matches!(listener.address, Address::Tcp(_)))
        .filter_map(|listener| socket::local_address(listener.fd.as_fd()))
        .collect();
    let mut count = Count::default();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        for line in table.lines().skip(1) {
            add(line, &addresses, &mut count);
        }
    }
    count
}

fn add(line: &str, addresses: &[SocketAddr], count: &mut Count) {
    let fields: Vec<&str> = line.split_ascii_whitespace().take(5).collect();
    let [_, local, _, state, queues] = fields[..] else {
        return;
    };
    let Some(local) = address(local) else { return };
    let is_at = |ours: &SocketAddr| {
        ours.port() == local.port() && (ours.ip() == local.ip() || ours.ip().is_unspecified())
    };
    match state {
        ESTABLISHED if addresses.iter().any(is_at) => count.open += 1,
        LISTEN if addresses.contains(&local) => {
            let queue = queues.split_once(':').map_or("", |(_, receive)| receive);
            count.waiting += usize::from_str_radix(queue, 16).unwrap_or(0);
        }
        _ => {}
    }
}

/// An address as the kernel writes it: words of the machine's own byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn what_waits_is_counted() {
        let listeners = crate::sockets::open(&["127.0.0.1:0".parse().unwrap()], &[]);
        let listeners = listeners.unwrap_or_else(|_| panic!("a port is free"));
        let address = socket::local_address(listeners[0].fd.as_fd()).unwrap();
        let expected = |open, waiting| Count { open, waiting };
        assert_eq!(count(&listeners), expected(0, 0));
        let _one = TcpStream::connect(address).unwrap();
        let _two = TcpStream::connect(address).unwrap();
        assert_eq!(count(&listeners), expected(2, 2));
        let _accepted = socket::accept(&listeners[0].fd).unwrap();
        assert_eq!(count(&listeners), expected(2, 1));
    }
}
