//! What swift-init has to do besides when it is the init of a container, that
//! is, when its number is 1 (pid_namespaces(7)).

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use swift_server::process::{self, Pid};
use swift_sys::signal::Signal;
use swift_sys::signal_fd::{self, SignalFd};
use swift_sys::{fd, pidfd, session};

/// What asks this process to end.
pub const REQUESTS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// The tools that run, whose ends are awaited where they were started.
static TOOLS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// The list of tools. While it is held, nobody's end is taken away from whoever
/// awaits it: a tool is started and entered under one hold.
pub fn tools() -> MutexGuard<'static, Vec<Pid>> {
    TOOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process is init: the kernel ends all others with it.
pub fn is_init() -> bool {
    session::is_init()
}

/// Begins an init's duties, if this process is one. Requests to end are kept
/// until they can be obeyed, since the kernel lets none of them end an init;
/// and whoever lost its parent is this process's child, and would stay a zombie
/// when nobody took its status.
pub fn begin() -> io::Result<()> {
    if !is_init() {
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

/// Takes the statuses of those children that ended and are no tools.
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
