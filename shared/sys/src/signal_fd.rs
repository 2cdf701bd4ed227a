//! Signals that come to this process, as a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigSet, Signal as NixSignal, raise, signal};
use nix::sys::signalfd::{self, SfdFlags};

use super::signal::Signal;

/// Signals that are blocked and read from a descriptor instead (signalfd(2)).
/// They stay blocked when this is dropped.
pub struct SignalFd(signalfd::SignalFd);

impl SignalFd {
    /// Blocks the signals, but for those that were inherited as ignored: this
    /// process was started so that it does not react to them.
    pub fn new(signals: &[Signal]) -> io::Result<SignalFd> {
        let wanted = signals.iter().filter(|signal| !is_ignored(**signal));
        SignalFd::open(&block(wanted)?)
    }

    /// Blocks all of the signals, those too that were inherited as ignored. They
    /// are blocked first, so that at no instant a default action could meet this process.
    pub fn taking(signals: &[Signal]) -> io::Result<SignalFd> {
        let blocked = block(signals)?;
        for signal in signals {
            set_default(named(*signal)?)?;
        }
        SignalFd::open(&blocked)
    }

    fn open(set: &SigSet) -> io::Result<SignalFd> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(SignalFd(signalfd::SignalFd::with_flags(set, flags)?))
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

fn block<'a>(signals: impl IntoIterator<Item = &'a Signal>) -> io::Result<SigSet> {
    let named: SigSet = signals
        .into_iter()
        .map(|signal| named(*signal))
        .collect::<io::Result<_>>()?;
    named.thread_block()?;
    Ok(named)
}

fn set_default(which: NixSignal) -> nix::Result<()> {
    // SAFETY: the default action is no function of ours.
    unsafe { signal(which, SigHandler::SigDfl) }.map(drop)
}

/// Blocks signals, so that they wait until a [`SignalFd`] takes them.
pub fn hold(signals: &[Signal]) -> io::Result<()> {
    block(signals).map(drop)
}

/// True when this process ignores a signal.
fn is_ignored(signal: Signal) -> bool {
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
    // The only error is that of a bad number.
    let _ = set_default(NixSignal::SIGCHLD);
}

/// Ends this process by a signal, so that its parent sees that cause of death.
/// The kernel lets no signal of its own end the first process of a namespace
/// (pid_namespaces(7)): that one exits as a shell reports such an end.
pub fn die_of(signal: Signal) -> io::Error {
    let attempt = || -> io::Result<()> {
        let named = named(signal)?;
        set_default(named)?;
        SigSet::from(named).thread_unblock()?;
        Ok(raise(named)?)
    };
    let result = attempt();
    if super::session::is_init() {
        std::process::exit(128 + signal.number());
    }
    result
        .err()
        .unwrap_or_else(|| io::Error::other("the signal did not end this process"))
}
