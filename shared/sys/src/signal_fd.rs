//! Signals that come to this process, as a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal as NixSignal, sigprocmask};
use nix::sys::signalfd::{self, SfdFlags};

use super::signal::Signal;

/// Signals that are blocked and read from a descriptor instead (signalfd(2)).
/// They stay blocked when this is dropped.
pub struct SignalFd(signalfd::SignalFd);

impl SignalFd {
    /// Blocks the signals, those aside that were inherited as ignored: whoever
    /// started this process does not want it to react to them.
    pub fn new(signals: &[Signal]) -> io::Result<SignalFd> {
        let mut set = SigSet::empty();
        for signal in signals.iter().filter(|s| !is_ignored(**s)) {
            set.add(named(*signal)?);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(SignalFd(signalfd::SignalFd::with_flags(
            &set,
            SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
        )?))
    }

    /// Blocks all of the signals, and takes care that those which were inherited
    /// as ignored are not lost: blocked first, so that at no instant a default
    /// action could meet this process.
    pub fn taking(signals: &[Signal]) -> io::Result<SignalFd> {
        let mut set = SigSet::empty();
        for signal in signals {
            set.add(named(*signal)?);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        for signal in signals {
            // SAFETY: the default action is no function of ours.
            unsafe { nix::sys::signal::signal(named(*signal)?, SigHandler::SigDfl) }?;
        }
        Ok(SignalFd(signalfd::SignalFd::with_flags(
            &set,
            SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
        )?))
    }

    /// The next signal that has come in, if any has.
    pub fn take(&self) -> io::Result<Option<Signal>> {
        let info = self.0.read_signal()?;
        Ok(info.and_then(|info| Signal::from_number(info.ssi_signo as i32)))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn named(signal: Signal) -> io::Result<NixSignal> {
    Ok(NixSignal::try_from(signal.number())?)
}

/// Blocks signals, so that they wait until an [`SignalFd`] takes them.
pub fn hold(signals: &[Signal]) -> io::Result<()> {
    let mut set = SigSet::empty();
    for signal in signals {
        set.add(named(*signal)?);
    }
    Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?)
}

/// Whether this process ignores a signal.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: with no new action given, sigaction only fills in the old one.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal.number(), std::ptr::null(), &raw mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}

/// Makes sure that the ends of this process's children can be awaited. When
/// SIGCHLD is inherited as ignored, the kernel takes their statuses itself
/// (wait(2)).
pub fn keep_children() {
    // SAFETY: the default action is no function of ours. Its only error is a
    // bad number.
    let _ = unsafe { nix::sys::signal::signal(NixSignal::SIGCHLD, SigHandler::SigDfl) };
}

/// Ends this process by a signal, so that its parent sees that cause of death.
/// The kernel lets no signal of its own end the first process of a namespace
/// (pid_namespaces(7)): that one exits as a shell tells of such an end.
pub fn die_of(signal: Signal) -> io::Error {
    let attempt = || -> io::Result<()> {
        let named = named(signal)?;
        // SAFETY: the default action is no function of ours.
        unsafe { nix::sys::signal::signal(named, SigHandler::SigDfl) }?;
        let set = SigSet::from(named);
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None)?;
        Ok(nix::sys::signal::raise(named)?)
    };
    let result = attempt();
    if super::session::is_init() {
        std::process::exit(128 + signal.number());
    }
    result
        .err()
        .unwrap_or_else(|| io::Error::other("the signal did not end this process"))
}
