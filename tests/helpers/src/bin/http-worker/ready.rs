//! Telling that it is ready.

use std::fs::OpenOptions;
use std::io::{Error, Result, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::options::Ready;

/// Tells it in the way that was asked for.
pub fn notify(how: Ready) -> Result<()> {
    match how {
        Ready::Notify => {
            let address = variable("NOTIFY_SOCKET")?;
            let address = match address.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(&address)?,
            };
            UnixDatagram::unbound()?.send_to_addr(b"READY=1\n", &address)?;
            Ok(())
        }
        Ready::Newline => {
            let path = format!("/proc/self/fd/{}", variable("READY_FD")?);
            OpenOptions::new().write(true).open(path)?.write_all(b"\n")
        }
        Ready::Silent => Ok(()),
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|error| Error::other(format!("{name}: {error}")))
}
