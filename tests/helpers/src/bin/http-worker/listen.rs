//! The listening sockets that were handed over.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// A listening socket, which several processes share: the first gets the client.
#[derive(Debug)]
pub enum Socket {
    /// Of IPv4 or IPv6.
    Tcp(TcpListener),
    /// Of the local machine.
    Unix(UnixListener),
}

/// A client.
#[derive(Debug)]
pub enum Client {
    /// Over IPv4 or IPv6.
    Tcp(TcpStream),
    /// Of the local machine.
    Unix(UnixStream),
}

/// All that were handed over; an error when there are none.
pub fn inherited() -> Result<Vec<Socket>> {
    let mut handed = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..handed.len() {
        // Each is tried as one and then as the other: a mismatch leaves it in its place.
        let socket = match handed.take_tcp_listener(index) {
            Ok(socket) => socket.map(Socket::Tcp),
            Err(_) => handed.take_unix_listener(index)?.map(Socket::Unix),
        };
        sockets.extend(socket);
    }
    if sockets.is_empty() {
        return Err(Error::other("no sockets were handed over (LISTEN_FDS)"));
    }
    for socket in &sockets {
        match socket {
            Socket::Tcp(socket) => socket.set_nonblocking(true)?,
            Socket::Unix(socket) => socket.set_nonblocking(true)?,
        }
    }
    Ok(sockets)
}

impl Socket {
    /// The next client, if one waits.
    pub fn accept(&self) -> Result<Option<Client>> {
        let client = match self {
            Socket::Tcp(socket) => socket.accept().map(|(client, _)| Client::Tcp(client)),
            Socket::Unix(socket) => socket.accept().map(|(client, _)| Client::Unix(client)),
        };
        match client {
            Ok(Client::Tcp(client)) => {
                client.set_nonblocking(false)?;
                client.set_nodelay(true)?;
                Ok(Some(Client::Tcp(client)))
            }
            Ok(Client::Unix(client)) => {
                client.set_nonblocking(false)?;
                Ok(Some(Client::Unix(client)))
            }
            // Another one was faster, or the client did not wait.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Client::Tcp(client) => client.as_fd(),
            Client::Unix(client) => client.as_fd(),
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Client::Tcp(client) => client.read(buffer),
            Client::Unix(client) => client.read(buffer),
        }
    }
}

impl Write for Client {
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        match self {
            Client::Tcp(client) => client.write(buffer),
            Client::Unix(client) => client.write(buffer),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
