//! The system's log. syslog(3) waits for ever when the log's daemon does not read and the queue of
//! its socket is full (unix(7)), so lines are written here, and never wait.
//!
//! A line has the form of RFC 3164 without its time and host, which the daemon on the other end of
//! /dev/log adds itself; journald, rsyslog and busybox take it so.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use nix::syslog::Facility;
pub use nix::syslog::Severity;

use super::epoll::deadline_in;
use super::fd::wait_writable;

/// Where the log's daemon listens (syslog(3)).
const PATH: &str = "/dev/log";

/// A longer line is cut: daemons keep 8 KiB of one (rsyslog's maxMessageSize), old ones 1 KiB.
const MAX_LEN: usize = 2048;

/// The result for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The line was sent, or there is no reader.
    Done,
    /// The queue is full. It may be tried again.
    Full,
}

struct Log {
    name: String,
    socket: Option<(OwnedFd, SockType)>,
}

static LOG: Mutex<Option<Log>> = Mutex::new(None);

/// Says under which name lines are written. Nothing is opened before the first of them.
pub fn open(name: &str) {
    let log = Log {
        name: name.replace(|c: char| c.is_whitespace() || c.is_control(), "_"),
        socket: None,
    };
    *LOG.lock().unwrap_or_else(PoisonError::into_inner) = Some(log);
}

/// Writes one line, with the facility daemon and this process's number. Never waits.
pub fn write(severity: Severity, line: &str) -> Sent {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(log) = log.as_mut() else {
        return Sent::Done;
    };
    let priority = Facility::LOG_DAEMON as i32 | severity as i32;
    let line = line.replace('\0', "\\0");
    let mut end = line.len().min(MAX_LEN);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let id = std::process::id();
    let text = format!("<{priority}>{}[{id}]: {}", log.name, &line[..end]);
    // A daemon that was started anew listens on another socket.
    for _ in 0..2 {
        match log.send(text.as_bytes()) {
            Ok(()) => break,
            Err(nix::Error::EAGAIN | nix::Error::ENOBUFS) => return Sent::Full,
            Err(_) => log.socket = None,
        }
    }
    Sent::Done
}

/// Waits until a line may be written, but not longer than this.
pub fn wait(limit: Duration) -> io::Result<()> {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((socket, _)) = log.as_ref().and_then(|log| log.socket.as_ref()) {
        wait_writable(socket, deadline_in(limit))?;
    }
    Ok(())
}

impl Log {
    fn send(&mut self, text: &[u8]) -> nix::Result<()> {
        let (socket, kind) = match &self.socket {
            Some((socket, kind)) => (socket, *kind),
            None => {
                let (socket, kind) = connected()?;
                let (socket, _) = self.socket.insert((socket, kind));
                (&*socket, kind)
            }
        };
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        if kind == SockType::Datagram {
            return send(socket.as_raw_fd(), text, flags).map(drop);
        }
        // On a stream a zero byte ends a line. What was sent of one cannot be taken back.
        let mut text = text.to_owned();
        text.push(0);
        match send(socket.as_raw_fd(), &text, flags)? {
            sent if sent == text.len() => Ok(()),
            _ => Err(nix::Error::EPIPE),
        }
    }
}

/// A socket that leads to the log's daemon, whichever of the two kinds it listens on.
fn connected() -> nix::Result<(OwnedFd, SockType)> {
    let address = UnixAddr::new(Path::new(PATH))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let attempt = |kind| {
        let socket = socket(AddressFamily::Unix, kind, flags, None)?;
        connect(socket.as_raw_fd(), &address)?;
        Ok((socket, kind))
    };
    match attempt(SockType::Datagram) {
        Err(nix::Error::EPROTOTYPE) => attempt(SockType::Stream),
        other => other,
    }
}
