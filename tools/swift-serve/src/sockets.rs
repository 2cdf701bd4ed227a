//! Listen sockets: made, or taken over from the generation before.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use swift_sys::error::reason_of;
use swift_sys::handover::Descriptor;
use swift_sys::{fd, socket};

use crate::address::Address;

/// A socket that listens on an address.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// The socket.
    pub fd: Descriptor,
}

/// Why an address is not listened on.
pub struct Refused {
    /// True when another process has it, which may pass.
    pub in_use: bool,
    /// The message.
    pub error: anyhow::Error,
}

/// A listener for every address: that of the generation before where it has
/// the same one, so that nothing that waits in its queue is lost.
pub fn open(addresses: &[Address], before: &[Listener]) -> Result<Vec<Listener>, Refused> {
    let mut all = Vec::new();
    for address in addresses {
        let same = before.iter().find(|listener| listener.address == *address);
        let fd = match same {
            Some(listener) => fd::duplicate(&listener.fd),
            None => bind(address),
        };
        match fd {
            Ok(fd) => all.push(Listener {
                address: address.clone(),
                fd: fd.into(),
            }),
            Err(e) => {
                discard(&all, before);
                return Err(Refused {
                    in_use: e.kind() == io::ErrorKind::AddrInUse,
                    error: anyhow!("cannot listen on {address}: {}", reason_of(&e)),
                });
            }
        }
    }
    Ok(all)
}

fn bind(address: &Address) -> io::Result<OwnedFd> {
    match address {
        Address::Tcp(address) => socket::listen_tcp(*address),
        Address::Unix(path) => {
            // What a server that was killed has left behind.
            if is_socket(path) && socket::is_deserted(path)? {
                fs::remove_file(path)?;
            }
            socket::listen_unix(path)
        }
    }
}

/// Takes the paths away of listeners that are given up, and that are not among
/// these which stay.
pub fn discard(listeners: &[Listener], staying: &[Listener]) {
    for listener in listeners {
        if staying
            .iter()
            .any(|other| other.address == listener.address)
        {
            continue;
        }
        if let Address::Unix(path) = &listener.address
            && is_socket(path)
        {
            // A path that stays is found to have no listener by the next start.
            let _ = fs::remove_file(path);
        }
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::symlink_metadata(path).is_ok_and(|status| status.file_type().is_socket())
}
