//! Counts the connections of listeners; unix sockets do not report theirs.

use std::fmt;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use swift_sys::{inet_diag, socket};

use crate::address::Address;
use crate::sockets::Listener;

/// The longest that counting may hold up the manager: clients decide how many connections there are.
pub const BUDGET: Duration = Duration::from_millis(20);

fn tcp(listeners: &[Listener]) -> impl Iterator<Item = &Listener> {
    listeners
        .iter()
        .filter(|one| matches!(one.address, Address::Tcp(_)))
}

/// Counts the connections that wait to be accepted.
pub fn waiting(listeners: &[Listener]) -> usize {
    tcp(listeners)
        .filter_map(|one| inet_diag::waiting(&one.fd).ok())
        .sum()
}

/// Connections that are open, those that wait among them: a number for people, of which counting
/// may have left some out.
#[derive(Debug, PartialEq, Eq)]
pub struct Open {
    count: usize,
    is_all: bool,
}

impl Open {
    /// Counts those of these listeners, for as long as `budget` lasts; none where the kernel does not
    /// answer, as without AF_NETLINK.
    pub fn count(listeners: &[Listener], budget: Duration) -> Option<Open> {
        let deadline = Instant::now() + budget;
        let mut open = Open {
            count: 0,
            is_all: true,
        };
        for address in tcp(listeners).filter_map(|one| socket::local_address(one.fd.as_fd())) {
            let (count, is_all) = inet_diag::established(address, deadline).ok()?;
            open.count += count;
            open.is_all &= is_all;
        }
        Some(open)
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_least = if self.is_all { "" } else { "at least " };
        write!(f, "{at_least}{} connections open", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn what_waits_is_counted() {
        let listeners =
            crate::sockets::open(&["127.0.0.1:0".parse().unwrap()], Default::default(), &[]);
        let listeners = listeners.unwrap_or_else(|_| panic!("a port is free"));
        let address = socket::local_address(listeners[0].fd.as_fd()).unwrap();
        let both = || {
            (
                Open::count(&listeners, Duration::from_secs(60))
                    .unwrap()
                    .to_string(),
                waiting(&listeners),
            )
        };
        let expected = |open: &str, waiting| (format!("{open} connections open"), waiting);
        assert_eq!(both(), expected("0", 0));
        let _one = TcpStream::connect(address).unwrap();
        let _two = TcpStream::connect(address).unwrap();
        assert_eq!(both(), expected("2", 2));
        let _accepted = socket::accept(&listeners[0].fd).unwrap();
        assert_eq!(both(), expected("2", 1));
    }
}
