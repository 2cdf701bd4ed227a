//! Where a server listens.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest path that a unix socket can have, its zero byte aside.
const LONGEST_PATH: usize = 107;

/// One address. Two that are written differently and mean the same are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

impl Address {
    /// True when one of two addresses takes connections to the other one too: it is `0.0.0.0` or `[::]`, and
    /// both have the same port. With `ipv6_only`, `[::]` takes none to an IPv4 address.
    pub fn overlaps(&self, other: &Address, ipv6_only: bool) -> bool {
        let (Address::Tcp(one), Address::Tcp(other)) = (self, other) else {
            return false;
        };
        let takes = |all: &SocketAddr, one: &SocketAddr| {
            let is_same_family = all.is_ipv6() == one.is_ipv6();
            all.ip().is_unspecified() && (is_same_family || all.is_ipv6() && !ipv6_only)
        };
        one.port() == other.port() && (takes(one, other) || takes(other, one))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                _ if !Path::new(path).is_absolute() => {
                    Err(format!("{text}: a path that begins with / is wanted"))
                }
                _ if path.len() > LONGEST_PATH => Err(format!(
                    "{text}: longer than the {LONGEST_PATH} bytes that a socket's path can have"
                )),
                _ => Ok(Address::Unix(path.into())),
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Address::Tcp(address));
        }
        // {bind_ip}:{bind_port} gives an IPv6 address without its brackets.
        let split = text.rsplit_once(':').and_then(|(ip, port)| {
            let ip: IpAddr = ip.parse().ok()?;
            Some(SocketAddr::new(ip, port.parse().ok()?))
        });
        split.map(Address::Tcp).ok_or_else(|| {
            format!("{text}: no address (IP:PORT, [IPV6]:PORT or unix:/PATH make one)")
        })
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_take_each_others_connections_overlap() {
        for (one, other, always, ipv6_only) in [
            ("0.0.0.0:80", "127.0.0.1:80", true, true),
            ("[::]:80", "[::1]:80", true, true),
            ("[::]:80", "127.0.0.1:80", true, false),
            ("0.0.0.0:80", "[::]:80", true, false),
            ("0.0.0.0:80", "[::1]:80", false, false),
            ("0.0.0.0:80", "127.0.0.1:81", false, false),
            ("127.0.0.1:80", "127.0.0.2:80", false, false),
            ("0.0.0.0:80", "unix:/80", false, false),
        ] {
            let (one, other): (Address, Address) = (one.parse().unwrap(), other.parse().unwrap());
            for (one, other) in [(&one, &other), (&other, &one)] {
                assert_eq!(one.overlaps(other, false), always, "{one} {other}");
                assert_eq!(one.overlaps(other, true), ipv6_only, "{one} {other}");
            }
        }
    }

    #[test]
    fn addresses_are_read_and_written() {
        for (text, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("::1:80", "[::1]:80"),
            ("unix:/run/x", "unix:/run/x"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "80",
            "localhost:80",
            "1.2.3.4",
            "1.2.3.4:x",
            "unix:x",
            ":80",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
