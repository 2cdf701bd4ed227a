//! Listen sockets: made, or taken over from the generation before.

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use swift_server::process::accepting::Socket;
use swift_sys::error::reason_of;
use swift_sys::handover::Descriptor;
use swift_sys::socket::Access;
use swift_sys::{fd, socket};

use crate::address::Address;

/// A socket that listens on an address.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// The socket.
    pub fd: Descriptor,
    /// True when it belongs to a socket unit of systemd, which keeps it and its file.
    #[serde(default)]
    pub is_units: bool,
    /// The file of a unix socket.
    file: Option<SocketFile>,
    /// The socket as it is seen in /proc.
    #[serde(skip)]
    seen: OnceCell<Option<Socket>>,
}

/// The device and the inode of a socket's file. No other file has them for as long as the socket is open,
/// even when the file was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SocketFile(i64, i64);

impl SocketFile {
    /// The socket that lies at a path.
    fn at(path: &Path) -> Option<SocketFile> {
        let status = fs::symlink_metadata(path).ok()?;
        let is_socket = status.file_type().is_socket();
        is_socket.then_some(SocketFile(status.dev() as i64, status.ino() as i64))
    }
}

impl Listener {
    /// A socket that listens on an address. What lies at the path of a unix socket is its file.
    pub fn new(address: Address, fd: Descriptor) -> Listener {
        let file = match &address {
            Address::Tcp(_) => None,
            Address::Unix(path) => SocketFile::at(path),
        };
        let seen = OnceCell::new();
        Listener {
            address,
            fd,
            is_units: false,
            file,
            seen,
        }
    }

    /// True when it takes the connections that it would take if it were bound now.
    pub fn is_as_wanted(&self, options: Options) -> bool {
        let Address::Tcp(address) = self.address else {
            return true;
        };
        !address.is_ipv6()
            || !address.ip().is_unspecified()
            || socket::is_v6_only(&self.fd) == options.ipv6_only
    }

    /// The same socket once more, if it is as it would be bound now.
    fn kept(&self, options: Options) -> io::Result<Listener> {
        if !self.is_as_wanted(options) {
            let why = "ipv6_only takes a stop and a start, since no socket can change it";
            return Err(io::Error::other(why));
        }
        Ok(Listener {
            address: self.address.clone(),
            fd: fd::duplicate(&self.fd)?.into(),
            is_units: self.is_units,
            file: self.file,
            seen: OnceCell::new(),
        })
    }

    /// The name under which systemd keeps it: the address, in characters that such a name may have.
    pub fn stored_name(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_-[]".contains(c);
        let address = self.address.to_string();
        address.replace(|c| !is_plain(c), "_")
    }

    /// The socket as it is seen in /proc.
    pub fn seen(&self) -> Option<Socket> {
        *self.seen.get_or_init(|| Socket::of(&self.fd).ok())
    }

    /// True when both are the same socket. Another one may have the same address, when the file of the
    /// first one was removed.
    pub fn is(&self, other: &Listener) -> bool {
        self.seen().is_some() && self.seen() == other.seen()
    }

    /// True when clients that connect to the address reach the socket.
    fn is_reachable(&self) -> bool {
        match &self.address {
            Address::Tcp(_) => true,
            Address::Unix(path) => self.file.is_some() && SocketFile::at(path) == self.file,
        }
    }
}

/// How addresses are listened on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// True when `[::]` takes no IPv4 connections.
    pub ipv6_only: bool,
    /// The mode and the owner of unix sockets.
    pub access: Access,
}

/// Why an address is not listened on.
pub struct Refused {
    /// The address.
    pub address: Address,
    /// True when another process has it, which may pass.
    pub in_use: bool,
    /// The message.
    pub error: anyhow::Error,
}

/// A listener for every address: that of the generation before where it has
/// the same one, so that nothing that waits in its queue is lost. A unix socket
/// whose file is gone, or that was shut down, is bound anew.
pub fn open(
    addresses: &[Address],
    options: Options,
    before: &[Listener],
) -> Result<Vec<Listener>, Refused> {
    let mut all = Vec::new();
    for address in addresses {
        // A worker that shares a socket may have changed it.
        let is_same = |one: &&Listener| {
            one.address == *address
                && one.is_reachable()
                && socket::listen_again(&one.fd).unwrap_or(false)
        };
        let listener = match before.iter().find(is_same) {
            Some(listener) => listener.kept(options),
            None => bind(address, options).map(|fd| Listener::new(address.clone(), fd.into())),
        };
        match listener {
            Ok(listener) => all.push(listener),
            Err(e) => {
                discard(&all, before);
                return Err(Refused {
                    address: address.clone(),
                    in_use: e.kind() == io::ErrorKind::AddrInUse,
                    error: anyhow!("cannot listen on {address}: {}", reason_of(&e)),
                });
            }
        }
    }
    Ok(all)
}

fn bind(address: &Address, options: Options) -> io::Result<OwnedFd> {
    match address {
        Address::Tcp(address) => socket::listen_tcp(*address, options.ipv6_only),
        Address::Unix(path) => {
            // What a server that was killed has left behind.
            if SocketFile::at(path).is_some() && socket::is_deserted(path)? {
                fs::remove_file(path)?;
            }
            socket::listen_unix(path, options.access)
        }
    }
}

/// Gives the files of listeners that stay their mode and their owner.
pub fn grant(listeners: &[Listener], access: Access) -> io::Result<()> {
    for listener in listeners.iter().filter(|one| one.is_reachable()) {
        if let Address::Unix(path) = &listener.address {
            socket::grant(path, access)?;
        }
    }
    Ok(())
}

/// Removes the files of listeners that are given up, and that are not among these which stay. What another
/// server has bound at their paths meanwhile stays, too.
pub fn discard(listeners: &[Listener], staying: &[Listener]) {
    let is_staying = |listener: &Listener| staying.iter().any(|other| other.is(listener));
    for listener in listeners.iter().filter(|one| !is_staying(one)) {
        if let Address::Unix(path) = &listener.address
            && listener.is_reachable()
            && !listener.is_units
        {
            // A path that stays is found to have no listener by the next start.
            let _ = fs::remove_file(path);
        }
    }
}
