//! Requirements of get_socket in Swift's wsgi.py: an address of this machine, a port
//! that is free, a certificate that can be read.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use swift_records::reason::Reason;
use swift_sys::error::reason_of;
use swift_sys::socket::try_bind;

use super::conf::Conf;
use super::files;
use super::finding::{Result, from_root};
use super::values::int;

pub(super) fn check(conf: &Conf) -> Result {
    let port = port(conf)?;
    address(conf, port)?;
    certificate(conf)
}

/// The port, if there is to be one: an object server with servers_per_port has
/// those of its ring.
fn port(conf: &Conf) -> Result<Option<u16>> {
    let per_port = conf.get("servers_per_port");
    if per_port.is_some_and(|value| !matches!(value.text.trim(), "" | "0")) {
        return Ok(None);
    }
    let Some(value) = conf.get("bind_port") else {
        return match conf.is_swifts() {
            true => Err(conf.finding("bind_port", Reason::Port, "not set")),
            false => Ok(None),
        };
    };
    let refuse = |why: String| conf.finding("bind_port", Reason::Port, why);
    let number = int(&value.text).and_then(|number| u16::try_from(number).ok());
    let Some(port) = number.filter(|port| *port != 0) else {
        return Err(refuse(format!("not a port: {}", value.text)));
    };
    let runner = &conf.preflight.runner;
    if conf.preflight.same_network
        && !runner.is_root()
        && !runner.is_capable
        && port < first_unprivileged()
    {
        return Err(refuse(format!("only root can bind port {port}")));
    }
    Ok(Some(port))
}

/// The first port that everybody may bind; none is refused when that cannot be
/// read.
fn first_unprivileged() -> u16 {
    let path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Asks the kernel, by binding a socket that never listens: it knows of
/// net.ipv4.ip_nonlocal_bind, and of routes that make addresses local.
fn address(conf: &Conf, port: Option<u16>) -> Result {
    if !conf.preflight.same_network {
        return Ok(());
    }
    let value = conf.get("bind_ip");
    let text = value.as_ref().map_or("0.0.0.0", |value| value.text.trim());
    let address = match text.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) if cannot_be_a_name(text) => {
            let why = format!("not an address: {text}");
            return Err(conf.finding("bind_ip", Reason::Address, why));
        }
        Err(_) => return Ok(()),
    };
    let error = |bound: io::Result<()>| bound.err().and_then(|e| e.raw_os_error());
    if value.is_some()
        && let Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) =
            error(try_bind(SocketAddr::new(address, 0)))
    {
        let why = format!("no address of this machine: {address}");
        return Err(conf.finding("bind_ip", Reason::Address, why));
    }
    let Some(port) = port.filter(|_| conf.preflight.runs) else {
        return Ok(());
    };
    let runner = &conf.preflight.runner;
    let bound = runner.sees(|| try_bind(SocketAddr::new(address, port)));
    match bound.and_then(error) {
        Some(libc::EADDRINUSE) => {
            let why = format!("another program has port {port} of {address}");
            Err(conf.finding("bind_port", Reason::Port, why))
        }
        _ => Ok(()),
    }
}

/// True when a text is meant to be an address, and is none: four numbers, of which
/// one is too large, an address in brackets, one with a comment behind it, or
/// nothing.
fn cannot_be_a_name(text: &str) -> bool {
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let dotted = parts.len() == 4 && parts.iter().all(is_number);
    let too_large = |part: &&str| part.parse::<u64>().map_or(true, |n| n > 255);
    text.is_empty()
        || text.contains(char::is_whitespace)
        || bracketed.is_some_and(|inner| inner.parse::<IpAddr>().is_ok())
        || dotted && parts.iter().any(too_large) && text.parse::<Ipv4Addr>().is_err()
}

/// The certificate and the key, which are read by the user who starts the
/// server, before it gives up being root.
fn certificate(conf: &Conf) -> Result {
    let Some(certificate) = conf.get("cert_file") else {
        return Ok(());
    };
    let Some(key) = conf.get("key_file") else {
        let why = "key_file is not set beside it";
        return Err(conf.finding("cert_file", Reason::File, why));
    };
    for (name, value) in [("cert_file", certificate), ("key_file", key)] {
        let path = from_root(&value.text);
        let seen = conf.preflight.runner.sees(|| files::is_pem(&path));
        let refuse = |why: String| {
            let why = format!("{}: {why}", value.text);
            Err(conf.finding(name, Reason::File, why))
        };
        match seen {
            Some(Ok(true)) | None => {}
            Some(Ok(false)) => return refuse("holds nothing in PEM form".into()),
            Some(Err(e)) => return refuse(reason_of(&e)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cannot_be_a_name;

    #[test]
    fn what_may_be_a_name_is_not_refused() {
        for text in ["127.0.0.256", "1.2.3.99999999999999999999", "[::1]"] {
            assert!(cannot_be_a_name(text), "{text}");
        }
        for text in [
            "localhost",
            "a.b.c.d",
            "127.1",
            "fe80::1%eth0",
            "1.2.3",
            "127.0.0.01",
            "[x]",
            "1.2.3.4.5",
        ] {
            assert!(!cannot_be_a_name(text), "{text}");
        }
    }
}
