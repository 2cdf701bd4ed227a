//! A small HTTP/1.1 server that takes its listening sockets from its parent, by the convention
//! of systemd (LISTEN_FDS), and leaves in good manners: at SIGTERM it takes what still waits in the
//! queues of its sockets, finishes what it has, answers once more with `Connection: close` on every
//! connection that is kept alive, and ends when the last one is gone.
//!
//! - `GET /` tells the generation (SWIFT_SERVE_GENERATION), the pid, the user and the text.
//! - `GET /slow?FIFO` opens that fifo, which waits for its writer, and answers when the writer is gone.
//! - `GET /die` ends the process without an answer.
#![forbid(unsafe_code)]

mod connection;
mod listen;
mod options;
mod ready;

use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use connection::Page;
use options::{Behaviour, Options};

fn main() -> ExitCode {
    // Before the first thread, so that every thread has it blocked.
    let mut leave = SigSet::empty();
    leave.add(Signal::SIGTERM);
    leave.thread_block().expect("a signal can be blocked");
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => return complain(&why),
    };
    match serve(options, &leave) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string()),
    }
}

fn complain(why: &str) -> ExitCode {
    use std::io::Write as _;
    // There is nowhere to report to when standard error is gone.
    let _ = writeln!(std::io::stderr(), "http-worker: {why}");
    ExitCode::FAILURE
}

fn serve(options: Options, leave: &SigSet) -> std::io::Result<()> {
    let signals = SignalFd::with_flags(leave, SfdFlags::SFD_CLOEXEC)?;
    match options.behaviour {
        Behaviour::Serve => {}
        Behaviour::Fail => return Err(std::io::Error::other("leave_signal to fail")),
        Behaviour::Hang => {
            signals.read_signal()?;
            return Ok(());
        }
    }
    let sockets = listen::inherited()?;
    let page = Arc::new(Page::new(options.text));
    // Every connection holds one end of this pair's copies: its threads see the end of the other one
    // when it is time to leave, and the last of them to go ends `gone`.
    let (leaving, leave_signal) = UnixStream::pair()?;
    let leave_signal = Arc::new(leave_signal);
    let (mut gone, alive) = UnixStream::pair()?;
    let alive = Arc::new(Mutex::new(Some(Arc::new(alive))));
    let take = |socket: &listen::Socket| -> std::io::Result<bool> {
        let Some(client) = socket.accept()? else {
            return Ok(false);
        };
        let (page, leave_signal) = (page.clone(), leave_signal.clone());
        let alive = alive.lock().expect("no thread panics with it").clone();
        std::thread::spawn(move || {
            // A client that is gone early is no fault of the server's.
            let _ = connection::serve(client, &page, &leave_signal);
            drop(alive);
        });
        Ok(true)
    };

    if let Some(fifo) = options.gate {
        std::fs::read(fifo)?;
    }
    ready::notify(options.ready)?;
    loop {
        let mut waiting: Vec<PollFd> = sockets
            .iter()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        waiting.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |poll: &PollFd| poll.any().unwrap_or(false);
        let must_leave = is_ready(waiting.last().expect("the signals are watched"));
        for (socket, _) in sockets.iter().zip(&waiting).filter(|(_, fd)| is_ready(fd)) {
            take(socket)?;
        }
        if must_leave {
            break;
        }
    }
    // What the kernel has accepted for a socket that no other process holds is lost when it is closed.
    for socket in &sockets {
        while take(socket)? {}
    }
    drop(sockets);
    leaving.shutdown(Shutdown::Both)?;
    alive.lock().expect("no thread panics with it").take();
    // The end of input: the last connection has gone.
    std::io::Read::read(&mut gone, &mut [0])?;
    Ok(())
}
