//! This process among others: its terminal, its parent, its reaper.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use nix::time::ClockId;

use super::signal::Signal;

/// Starts a session of this process's own; `false` when it leads a group already,
/// as a shell's foreground job does.
pub fn lead() -> bool {
    nix::unistd::setsid().is_ok()
}

/// The time of the monotonic clock.
pub fn monotonic() -> Duration {
    ClockId::CLOCK_MONOTONIC
        .now()
        .map_or(Duration::ZERO, Duration::from)
}

/// True when this process is the first of its pid namespace, so that the kernel
/// ends all others there with it (pid_namespaces(7)).
pub fn is_init() -> bool {
    nix::unistd::getpid().as_raw() == 1
}

/// Decides whether descendants of this process become its children when their parent ends
/// (`PR_SET_CHILD_SUBREAPER` of prctl(2)). This lasts across exec, and is not inherited.
pub fn take_in_orphans(takes: bool) -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(takes)?)
}

/// True when they do.
pub fn takes_in_orphans() -> io::Result<bool> {
    Ok(nix::sys::prctl::get_child_subreaper()?)
}

/// True when this process leads its process group.
pub fn leads_group() -> bool {
    nix::unistd::getpgrp() == nix::unistd::getpid()
}

/// Sends a signal to this process's own group, this process included.
pub fn signal_group(signal: Signal) -> io::Result<()> {
    let signal = nix::sys::signal::Signal::try_from(signal.number())?;
    Ok(nix::sys::signal::killpg(nix::unistd::getpgrp(), signal)?)
}

/// True when standard error is a terminal.
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// True when standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// The width of the terminal on standard error, in columns.
pub fn terminal_width() -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ fills in the structure whose address it is given.
    let result = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(size.ws_col.into())
}
