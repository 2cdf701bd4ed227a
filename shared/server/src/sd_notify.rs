//! The client side of sd_notify(3): a service tells systemd its state.
//!
//! systemd attributes a datagram to a unit by the sender's pid. It knows the main process of a
//! unit and the processes of its Exec lines; any other process is found by its cgroup, which is
//! gone with it. So a process of that kind calls [`SdNotify::barrier`] before it exits.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use swift_sys::pid::Pid;
use swift_sys::{session, socket};

/// How long a send waits for room while systemd does not read, as during `systemctl daemon-reload`.
/// Without room the message is lost.
const SEND_MAX: Duration = Duration::from_secs(1);

/// The longest value of a line in bytes. systemd ignores a datagram of 4096 bytes or more as a
/// whole (NOTIFY_BUFFER_MAX in src/core/manager.c), READY=1 included.
const VALUE_MAX: usize = 1024;

/// How much later than at its own deadline systemd may give a service up.
const EXTEND_MARGIN: Duration = Duration::from_secs(10);

/// The interval at which WATCHDOG=1 is to be sent, which is half of that of systemd's watchdog; none when
/// there is none, or when it is for another process (sd_watchdog_enabled(3)).
pub fn watchdog_interval() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = std::env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
    let usec = number("WATCHDOG_USEC").filter(|usec| *usec > 0 && is_meant);
    usec.map(|usec| Duration::from_micros(usec) / 2)
}

/// The socket that NOTIFY_SOCKET names.
#[derive(Clone, Debug, Default)]
pub struct SdNotify {
    /// A path, or an abstract name behind a zero byte.
    address: Option<Vec<u8>>,
    /// A value that names no unix socket, such as `vsock:2:1234`.
    unsupported: Option<OsString>,
}

impl SdNotify {
    /// The socket of this process's environment.
    pub fn from_env() -> SdNotify {
        std::env::var_os("NOTIFY_SOCKET")
            .map_or_else(SdNotify::default, |name| SdNotify::new(&name))
    }

    /// The socket of that name, in the form of NOTIFY_SOCKET: an absolute path, or `@` and an
    /// abstract name.
    pub fn new(name: &OsStr) -> SdNotify {
        let (address, unsupported) = match name.as_bytes() {
            [] => (None, None),
            [b'/', _, ..] => (Some(name.as_bytes().to_vec()), None),
            [b'@', rest @ ..] if !rest.is_empty() => (Some([b"\0", rest].concat()), None),
            _ => (None, Some(name.to_owned())),
        };
        SdNotify {
            address,
            unsupported,
        }
    }

    /// True when there is a socket to send to.
    pub fn is_set(&self) -> bool {
        self.address.is_some()
    }

    /// A line for the log when NOTIFY_SOCKET names a socket that is not spoken to.
    pub fn complaint(&self) -> Option<String> {
        let name = swift_cli::text::quote(self.unsupported.as_ref()?.as_bytes());
        Some(format!(
            "NOTIFY_SOCKET={name} is no unix socket, so systemd is not notified"
        ))
    }

    /// Sends all lines of a message in one datagram. A socket without a reader is no error. While
    /// the socket is full this waits for a second at most.
    pub fn send(&self, message: &Message) -> io::Result<()> {
        self.send_along(message, None)
    }

    /// Has systemd keep a descriptor of this name for the next start of the unit (FDSTORE=1, systemd 219).
    /// One that it has already is kept once.
    pub fn store(&self, name: &str, fd: &OwnedFd) -> io::Result<()> {
        let message = Message::new().line("FDSTORE", "1").line("FDNAME", name);
        self.send_along(&message, Some(fd))
    }

    fn send_along(&self, message: &Message, fd: Option<&OwnedFd>) -> io::Result<()> {
        let Some(address) = &self.address else {
            return Ok(());
        };
        match socket::send_within(address, message.0.as_bytes(), fd, SEND_MAX) {
            Err(e) if has_no_reader(&e) => Ok(()),
            result => result,
        }
    }

    /// Waits until systemd has taken in all that was sent before, for that long at most; `false`
    /// when it has not. systemd closes the descriptor that BARRIER=1 carries (systemd 246; older
    /// ones close it as one that they do not want).
    pub fn barrier(&self, wait: Duration) -> io::Result<bool> {
        let Some(address) = &self.address else {
            return Ok(true);
        };
        let (near, far) = swift_sys::fd::pipe()?;
        match socket::send_within(address, b"BARRIER=1", Some(&far), SEND_MAX) {
            Err(e) if has_no_reader(&e) => return Ok(true),
            result => result?,
        }
        drop(far);
        let epoll = swift_sys::epoll::Epoll::new()?;
        epoll.add(&near, 0)?;
        Ok(!epoll.wait(swift_sys::epoll::deadline_in(wait))?.is_empty())
    }
}

/// True when nothing has the socket, or nothing reads from it any more.
fn has_no_reader(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | NotFound)
}

/// Lines that belong together. systemd takes in the lines of one datagram at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    /// No lines yet.
    pub fn new() -> Message {
        Message::default()
    }

    /// READY=1: the start, or the reload, is over.
    pub fn ready(self) -> Message {
        self.line("READY", "1")
    }

    /// RELOADING=1 and MONOTONIC_USEC, which systemd 253 and later require with
    /// `Type=notify-reload`.
    pub fn reloading(self) -> Message {
        let now = session::monotonic().as_micros();
        self.line("RELOADING", "1")
            .line("MONOTONIC_USEC", &now.to_string())
    }

    /// STOPPING=1: the service is going to end.
    pub fn stopping(self) -> Message {
        self.line("STOPPING", "1")
    }

    /// STATUS: the line that `systemctl status` shows.
    pub fn status(self, text: &str) -> Message {
        self.line("STATUS", text)
    }

    /// MAINPID: the process whose end is the end of the service.
    pub fn main_pid(self, pid: Pid) -> Message {
        self.line("MAINPID", &pid.to_string())
    }

    /// EXTEND_TIMEOUT_USEC (systemd 236): the start, reload or stop that goes on may take that long
    /// from now, and ten seconds more. An earlier deadline of systemd's is moved, a later one stays.
    pub fn extend_timeout(self, wait: Duration) -> Message {
        let micros = wait.saturating_add(EXTEND_MARGIN).as_micros();
        // The largest number of 64 bits stands for infinity, which systemd takes for no time at all.
        let micros = micros.min(u128::from(u64::MAX - 1));
        self.line("EXTEND_TIMEOUT_USEC", &micros.to_string())
    }

    /// A line of any name. A value is one line of at most 1024 bytes: line breaks and other control
    /// characters become blanks, and the end of a longer one is cut off.
    pub fn line(mut self, name: &str, value: &str) -> Message {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(name);
        self.0.push('=');
        let end = value.len().min(VALUE_MAX);
        let end = (0..=end).rev().find(|at| value.is_char_boundary(*at));
        let end = end.unwrap_or_default();
        let one_line = value[..end]
            .chars()
            .map(|c| match swift_cli::text::steers(c) {
                true => ' ',
                false => c,
            });
        self.0.extend(one_line);
        self
    }

    /// The lines, as they are sent.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 8192];
        socket.set_nonblocking(true).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn paths_and_abstract_names_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().as_os_str().len();
        // sun_path has 108 bytes; a path ends in a zero byte.
        for length in [own + 2, 106, 107] {
            let path = dir.path().join("s".repeat(length - own - 1));
            let reader = UnixDatagram::bind(&path).unwrap();
            let to = SdNotify::new(path.as_os_str());
            to.send(&Message::new().ready()).unwrap();
            assert_eq!(received(&reader), "READY=1", "{length}");
        }
        for length in [30, 106, 107] {
            let name = format!("sd-notify-{}-", std::process::id());
            let name = format!("{name:x<length$}");
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            let reader = UnixDatagram::bind_addr(&address).unwrap();
            let to = SdNotify::new(OsStr::new(&format!("@{name}")));
            to.send(&Message::new().stopping()).unwrap();
            assert_eq!(received(&reader), "STOPPING=1", "{length}");
        }
        let long = dir.path().join("s".repeat(108 - own - 1));
        let error = SdNotify::new(long.as_os_str()).send(&Message::new().ready());
        assert!(error.is_err());
    }

    #[test]
    fn other_sockets_are_left_alone_with_a_word() {
        for name in ["vsock:2:1234", "relative", "@", "/"] {
            let to = SdNotify::new(OsStr::new(name));
            let why = to.complaint().unwrap();
            assert!(!to.is_set() && why.contains(name), "{why}");
            to.send(&Message::new().ready()).unwrap();
        }
        let none = SdNotify::new(OsStr::new(""));
        assert!(!none.is_set() && none.complaint().is_none());
    }

    #[test]
    fn a_socket_without_a_reader_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let to = SdNotify::new(path.as_os_str());
        to.send(&Message::new().ready()).unwrap();
        assert!(to.barrier(Duration::MAX).unwrap());
        // The file stays behind when the reader is gone.
        drop(UnixDatagram::bind(&path).unwrap());
        to.send(&Message::new().ready()).unwrap();
        assert!(to.barrier(Duration::MAX).unwrap());
    }

    /// Fails when a send waits for ever, or gives up while the reader is about to read.
    #[test]
    fn a_reader_that_does_not_read_holds_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let reader = UnixDatagram::bind(&path).unwrap();
        let to = SdNotify::new(path.as_os_str());
        // net.unix.max_dgram_qlen is how many fit.
        while socket::send(path.as_os_str().as_bytes(), b"X=1").is_ok() {}
        let error = to.send(&Message::new().ready()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let last = std::thread::scope(|scope| {
            scope.spawn(|| to.send(&Message::new().ready()).unwrap());
            let mut buffer = [0; 64];
            loop {
                let length = reader.recv(&mut buffer).unwrap();
                if &buffer[..length] != b"X=1" {
                    return buffer[..length].to_vec();
                }
            }
        });
        assert_eq!(last, b"READY=1");
    }

    #[test]
    fn a_barrier_falls_when_the_reader_has_closed_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let reader = UnixDatagram::bind(&path).unwrap();
        let to = SdNotify::new(path.as_os_str());
        assert!(!to.barrier(Duration::ZERO).unwrap());
        // One that is read without room for descriptors is closed by the kernel.
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| to.barrier(Duration::MAX).unwrap());
            assert_eq!(reader.recv(&mut [0; 64]).unwrap(), 9);
            assert_eq!(reader.recv(&mut [0; 64]).unwrap(), 9);
            assert!(waits.join().unwrap());
        });
    }

    #[test]
    fn a_value_forges_no_line_and_keeps_the_message_short() {
        let message = Message::new()
            .status("bad\nMAINPID=1\r\u{2028}READY=1\0")
            .main_pid(Pid::new(7).unwrap());
        let text = "STATUS=bad MAINPID=1  READY=1 \nMAINPID=7";
        assert_eq!(message.as_bytes(), text.as_bytes());
        let long = Message::new().ready().status(&"\u{e9}x".repeat(4000));
        assert!(long.as_bytes().len() < 4096 && std::str::from_utf8(long.as_bytes()).is_ok());
    }

    #[test]
    fn times_of_any_size_are_numbers() {
        let text = |wait| String::from_utf8(Message::new().extend_timeout(wait).0.into()).unwrap();
        assert_eq!(text(Duration::from_secs(5)), "EXTEND_TIMEOUT_USEC=15000000");
        let max = format!("EXTEND_TIMEOUT_USEC={}", u64::MAX - 1);
        assert_eq!(text(Duration::MAX), max);
    }
}
