//! The standby: a second process that holds what the old generation needs while
//! the manager executes itself anew. It waits for the verdict, and when the
//! manager dies before there is one, it is the manager.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use swift_server::process::{Pid, Process};
use swift_sys::epoll::{Epoll, deadline_in};
use swift_sys::handover::{Forked, fork, fork_orphan};
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;
use swift_sys::{fd, session, socket};

use crate::address::Address;
use crate::event::SIGNALS;
use crate::manager::Manager;
use crate::sockets::{self, Listener};
use crate::standby::{DONE, RELEASE, STOP, Standby};
use crate::worker::Worker;
use crate::{connections, orphans, pid_file};

const CONTROL: u64 = 1;
const MANAGER: u64 = 2;
const SIGNALLED: u64 = 3;

/// The time that connections that have begun get to be completed and accepted.
const DRAIN: Duration = Duration::from_secs(1);
/// The most times that this is granted while some still wait.
const DRAINS: usize = 10;
/// The longest message.
const LONGEST: usize = 64 * 1024;

/// The role of this process after the fork.
pub enum Began {
    /// The manager, with its standby.
    Here(Standby),
    /// The former standby, which is the manager now.
    TookOver,
}

/// Forks the standby. systemd warns of a main process that is no child of its
/// own, and does not notice its end at once, so that under systemd the standby
/// becomes one.
pub fn begin(manager: &mut Manager) -> io::Result<Began> {
    let (near, far) = socket::pair()?;
    let own = Pid::own();
    let me = Process::open(own)?.ok_or(io::ErrorKind::NotFound)?;
    let forked = match manager.notifier.has_systemd() {
        true => fork_orphan()?,
        false => fork()?,
    };
    match forked {
        Forked::Parent(pid) => {
            drop(far);
            let process = Process::open(pid)?.ok_or(io::ErrorKind::NotFound)?;
            Ok(Began::Here(Standby {
                process,
                control: near.into(),
                is_notified: false,
                releases: None,
            }))
        }
        Forked::Child => {
            drop(near);
            manager.state.standbys.clear();
            match keep(manager, &far, &me) {
                Ok(()) => manager.take_over(own),
                Err(e) => {
                    manager.log.error(&format!("the standby fails: {e}"));
                    std::process::exit(1);
                }
            }
            Ok(Began::TookOver)
        }
    }
}

/// Waits for the verdict. It returns when the manager died without one.
fn keep(manager: &mut Manager, control: &OwnedFd, parent: &Process) -> io::Result<()> {
    // The kernel has pending signals and readiness apart for each process.
    manager.signals = SignalFd::taking(SIGNALS)?;
    manager.state.status = None;
    let epoll = Epoll::new()?;
    epoll.add(control, CONTROL)?;
    epoll.add(parent, MANAGER)?;
    epoll.add(&manager.signals, SIGNALLED)?;
    let (mut listening, mut is_stopping) = (true, false);
    loop {
        let tokens = epoll.wait(None)?;
        // The verdict comes first: the manager may have died right after it.
        if listening && fd::is_readable(control)? {
            let mut message = vec![0; LONGEST];
            // A manager that died with something unread resets the connection.
            let length = fd::read(control, &mut message).unwrap_or(0);
            match message[..length].split_first() {
                Some((&RELEASE, gone)) => {
                    manager.finish_old(&String::from_utf8_lossy(gone));
                    let _ = fd::write(control, &[DONE]);
                    match leave(manager, parent)? {}
                }
                Some((&STOP, _)) => is_stopping = true,
                Some(_) => match leave(manager, parent)? {},
                None => {
                    listening = false;
                    epoll.remove(control)?;
                }
            }
        }
        if tokens.contains(&SIGNALLED) {
            is_stopping |= hand_on_signals(manager, parent)?;
        }
        if parent.has_ended()? {
            match is_stopping {
                true => std::process::exit(0),
                false => return Ok(()),
            }
        }
    }
}

/// Ends this process, which the manager has told systemd is not the main one.
///
/// An order to stop may have come before systemd took that in, and is handed on:
/// systemd 252 then takes this process for the main one to its end. Nor does
/// systemd believe a manager that has died meanwhile, so that this end is that of
/// the service: then it is a failure, and Restart= comes.
fn leave(manager: &mut Manager, parent: &Process) -> io::Result<Infallible> {
    manager.notifier.barrier();
    if hand_on_signals(manager, parent)? {
        fd::wait_readable(parent)?;
        std::process::exit(0);
    }
    std::process::exit(i32::from(parent.has_ended()?))
}

/// Under systemd the standby is the main process, which `systemctl stop` ends: so
/// it hands on what it gets. Returns `true` when this was the order to stop.
/// Without systemd such an order is for the standby alone, and it ends.
fn hand_on_signals(manager: &mut Manager, parent: &Process) -> io::Result<bool> {
    let mut is_stopping = false;
    while let Some(signal) = manager.signals.take()? {
        if signal == Signal::CHLD {
            continue;
        }
        let is_end = matches!(signal, Signal::TERM | Signal::INT);
        if manager.notifier.has_systemd() {
            parent.signal(signal)?;
        } else if is_end {
            std::process::exit(0);
        }
        is_stopping |= is_end;
    }
    Ok(is_stopping)
}

/// Stops new connections and waits until the old workers have accepted those in the
/// queues. The end of a handshake in the network cannot be observed, so that gets time.
fn drain(gone: &[Listener]) {
    for listener in gone {
        if let Address::Tcp(_) = listener.address {
            let _ = socket::refuse_newcomers(&listener.fd);
        }
    }
    sockets::discard(gone, &[]);
    for _ in 0..DRAINS {
        let _ = Epoll::new().and_then(|epoll| epoll.wait(deadline_in(DRAIN)));
        if connections::waiting(gone) == 0 {
            break;
        }
    }
}

impl Manager {
    /// Makes this process, which was the standby, the manager.
    fn take_over(&mut self, dead: Pid) {
        session::lead();
        self.take_in_orphans();
        self.open_status();
        self.state.number += 1;
        self.end_orphans(dead);
        if let Err(e) = self.watch_all() {
            self.log.error(&format!("cannot watch: {e}"));
        }
        if let Err(e) = pid_file::take_over(dead) {
            self.log
                .error(&format!("cannot update the pid file: {e:#}"));
        }
        let serving = self.state.current.as_ref().map_or(0, |one| one.number);
        self.state.verdict = format!(
            "generation {serving} serves on, manager {dead} died in a reload and {} took over",
            std::process::id()
        );
        self.log.error(&self.state.verdict);
        let why = "the manager died in the reload";
        self.notifier.refused(&self.state.verdict, why, true);
    }

    /// Tells the workers to leave that the dead manager had started for the new
    /// generation.
    fn end_orphans(&mut self, dead: Pid) {
        let Some(current) = &self.state.current else {
            return;
        };
        let settings = &current.settings;
        let number = self.state.number;
        for process in orphans::of_generation(&self.invocation, dead, number) {
            let mut worker = Worker::adopted(process, number);
            worker.leave(Some(settings.graceful), settings.reload_timeout());
            self.state.leaving.push(worker);
        }
    }

    /// Ends this standby's work in peace: drains what is gone, and tells the old
    /// workers to finish.
    fn finish_old(&mut self, gone: &str) {
        let Some(old) = &mut self.state.current else {
            return;
        };
        let gone: Vec<&str> = gone.lines().collect();
        let is_gone = |one: &Listener| gone.contains(&one.address.to_string().as_str());
        old.listeners.retain(is_gone);
        if !old.listeners.is_empty() {
            drain(&std::mem::take(&mut old.listeners));
        }
        for worker in &old.workers {
            let _ = worker.process.signal(old.settings.graceful);
        }
    }
}
