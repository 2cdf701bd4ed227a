//! The duties of the init of a container, which swift-init has when its pid is 1
//! (pid_namespaces(7)).

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use swift_server::process::{self, Pid};
use swift_sys::signal::Signal;
use swift_sys::signal_fd::{self, SignalFd};
use swift_sys::{fd, pidfd, session};

/// The signals that ask this process to end.
pub const REQUESTS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// The tools that run, whose ends are awaited where they were started.
static TOOLS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// The list of tools. While it is locked, no child is reaped: a tool is started and entered under one
/// lock, so that its exit status is left to the code that awaits it.
pub fn tools() -> MutexGuard<'static, Vec<Pid>> {
    TOOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins an init's duties, if this process is one. Requests to end stay pending until they can be
/// obeyed, since the kernel lets none of them end an init. Orphans become children of this process,
/// which reaps them.
pub fn begin() -> io::Result<()> {
    if !session::is_init() {
        return Ok(());
    }
    signal_fd::hold(&REQUESTS)?;
    let ends = SignalFd::new(&[Signal::CHLD])?;
    std::thread::Builder::new().spawn(move || {
        loop {
            // An error would come again and again, and zombies are the lesser evil.
            if reap().and_then(|()| fd::wait_readable(&ends)).is_err() {
                return;
            }
            while matches!(ends.take(), Ok(Some(_))) {}
        }
    })?;
    Ok(())
}

/// Reaps the children that ended and are no tools.
fn reap() -> io::Result<()> {
    let tools = tools();
    let me = Pid::own();
    for child in process::child_numbers(me)? {
        if !tools.contains(&child) {
            pidfd::reap(child)?;
        }
    }
    Ok(())
}
