//! `tiny-server CONF [--test-config]`, by whatever name it is called: a Swift server as small as a server
//! can be, for tests with thousands of them.
//!
//! The server makes a session of its own and closes its outputs when it is ready. USR1 reloads it: it says
//! RELOADING=1 and READY=1. TERM and HUP end it. Its config is always a good one, and never read.
//!
//! When the environment variable `TINY_SERVER` names a directory, it is not ready before a test has
//! opened the fifo `ready` there for writing. A signal that ends it is first recorded, as a line with
//! its number in the fifo `record`; then it waits for the fifo `gate` in the same way.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

fn main() {
    if std::env::args_os().any(|word| word == "--test-config") {
        return;
    }
    // Fails only when it leads a session already.
    let _ = setsid();
    let mut handled = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
        handled.add(signal);
    }
    handled.thread_block().expect("signals can be blocked");
    let inbox = SignalFd::with_flags(&handled, SfdFlags::SFD_CLOEXEC).expect("a signalfd");
    let directory = std::env::var_os("TINY_SERVER").map(PathBuf::from);
    if let Some(directory) = &directory {
        let _ = File::open(directory.join("ready"));
    }
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.expect("/dev/null opens");
    dup2_stdin(&null).expect("descriptor 0 can be replaced");
    dup2_stdout(&null).expect("descriptor 1 can be replaced");
    dup2_stderr(&null).expect("descriptor 2 can be replaced");
    loop {
        let Ok(Some(signal)) = inbox.read_signal() else {
            continue;
        };
        if signal.ssi_signo == Signal::SIGUSR1 as u32 {
            notify("RELOADING=1");
            notify("READY=1");
            continue;
        }
        if let Some(directory) = &directory {
            record(directory, signal.ssi_signo);
        }
        return;
    }
}

/// Sends to the socket that a reloader binds. Without a listener it is not needed.
fn notify(text: &str) {
    let name = format!("swift-notifications\0{}", std::process::id());
    let _ = UnixDatagram::unbound().and_then(|socket| {
        socket.send_to_addr(text.as_bytes(), &SocketAddr::from_abstract_name(name)?)
    });
}

fn record(directory: &std::path::Path, signal: u32) {
    let fifo = File::options().write(true).open(directory.join("record"));
    // In one write, so that the lines of those that write together do not mix.
    let _ = fifo.and_then(|mut fifo| fifo.write_all(format!("{signal}\n").as_bytes()));
    let _ = File::open(directory.join("gate"));
}
