//! The life of a standby: a second process that is there from the beginning of a reload until the last old
//! worker has ended, and is the manager once that has died.
//!
//! Two follow each other in a reload: the first one has the old generation, and the second one, which is
//! forked when the new generation is ready, has that.

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
use crate::event::{SIGNALS, STATUS};
use crate::manager::Manager;
use crate::pid_file::Outcome;
use crate::sockets::{self, Listener};
use crate::standby::{DONE, STOP, Standby};
use crate::state::Phase;
use crate::worker::Worker;
use crate::{connections, orphans, pid_file, status};

const CONTROL: u64 = 1;
const MANAGER: u64 = 2;
const SIGNALLED: u64 = 3;
const RETIRED: u64 = 5;
const BEFORE: u64 = 6;

/// The time that connections that have begun get to be completed and accepted.
const DRAIN: Duration = Duration::from_secs(1);
/// The most times that this is granted while some still wait.
const DRAINS: usize = 10;

/// The role of this process after the fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// The manager, with its standby.
    Here,
    /// The former standby, which is the manager now.
    TookOver,
}

/// The work that a standby begins with: the end of the old generation.
pub struct Release {
    /// The sockets that are listened on no longer.
    pub gone: Vec<Listener>,
    /// The old workers.
    pub workers: Vec<Pid>,
    /// The signal that makes them finish.
    pub graceful: Signal,
}

/// A standby's own ends, and the processes whose end it awaits.
struct Own {
    control: OwnedFd,
    retired: OwnedFd,
    parent: Process,
    /// The standby before this one, until that has retired.
    before: Option<Standby>,
}

/// Forks a standby in the place of the one that there is. systemd warns of a main process that is no child
/// of its own, and does not notice its end at once, so that under systemd the standby becomes one.
///
/// The standby does the work of `release`, which is left to the manager when there is an error.
pub fn begin(manager: &mut Manager, release: &mut Option<Release>) -> io::Result<Began> {
    let (near, far) = socket::pair()?;
    let retired = fd::event()?;
    let dead = Pid::own();
    let parent = Process::open(dead)?.ok_or(io::ErrorKind::NotFound)?;
    let forked = match manager.notifier.has_systemd() {
        true => fork_orphan()?,
        false => fork()?,
    };
    match forked {
        Forked::Parent(pid) => {
            drop(far);
            let process = Process::open(pid)?.ok_or(io::ErrorKind::NotFound)?;
            manager.state.standbys.push(Standby {
                process,
                control: near.into(),
                retired: retired.into(),
                is_retired: false,
                releases: release.as_ref().map(|one| one.graceful),
            });
            Ok(Began::Here)
        }
        Forked::Child => {
            drop(near);
            let standbys = std::mem::take(&mut manager.state.standbys);
            let own = Own {
                control: far,
                retired,
                parent,
                before: standbys.into_iter().rfind(|one| !one.is_retired),
            };
            match keep(manager, own, release.take()) {
                Ok(()) => manager.take_over(dead),
                Err(e) => {
                    manager.log.error(&format!("the standby fails: {e}"));
                    std::process::exit(1);
                }
            }
            Ok(Began::TookOver)
        }
    }
}

/// Has everything reported that a standby waits for.
fn watch(manager: &mut Manager, own: &Own) -> io::Result<()> {
    // The kernel has pending signals and readiness apart for each process.
    manager.signals = SignalFd::taking(SIGNALS)?;
    manager.epoll = Epoll::new()?;
    manager.answers_at = None;
    manager.open_status();
    let epoll = &manager.epoll;
    epoll.add(&own.control, CONTROL)?;
    epoll.add(&own.retired, RETIRED)?;
    epoll.add(&own.parent, MANAGER)?;
    epoll.add(&manager.signals, SIGNALLED)?;
    if let Some(status) = &manager.state.status {
        epoll.add(status, STATUS)?;
    }
    if let Some(before) = &own.before {
        epoll.add(&before.retired, BEFORE)?;
        epoll.add(&before.process, BEFORE)?;
    }
    Ok(())
}

/// Waits for the end of its task. It returns when the manager died before.
fn keep(manager: &mut Manager, mut own: Own, mut release: Option<Release>) -> io::Result<()> {
    watch(manager, &own)?;
    let (mut listening, mut is_stopping) = (true, false);
    let mut tokens = Vec::new();
    loop {
        // What the manager did before its end is seen when that is.
        let has_died = own.parent.has_ended()?;
        if let Some(before) = &own.before
            && before.has_retired()?
        {
            manager.epoll.remove(&before.retired)?;
            manager.epoll.remove(&before.process)?;
            own.before = None;
        }
        if own.before.is_none()
            && let Some(release) = release.take()
        {
            manager.finish_old(release);
            let _ = fd::write(&own.control, &[DONE]);
        }
        if fd::is_readable(&own.retired)? {
            match leave(manager, &own.parent)? {}
        }
        if listening && fd::is_readable(&own.control)? {
            let mut word = [0];
            // A manager that died with something unread resets the connection.
            match fd::read(&own.control, &mut word).unwrap_or(0) {
                0 => {
                    listening = false;
                    manager.epoll.remove(&own.control)?;
                }
                _ => is_stopping |= word == [STOP],
            }
        }
        if tokens.contains(&SIGNALLED) {
            is_stopping |= hand_on_signals(manager, &own.parent)?;
        }
        if is_stopping {
            // What is closed is closed here too.
            manager.state.current = None;
        }
        // None is reported when the time of `answers_at` has come.
        if tokens.contains(&STATUS) || manager.answers_at.is_some() && tokens.is_empty() {
            manager.answers_at = None;
            manager.answer_status(status::STANDBY);
        }
        if has_died {
            // The one before takes over, unless it has retired.
            match is_stopping || own.before.is_some() {
                true => std::process::exit(0),
                false => return Ok(()),
            }
        }
        tokens = manager.epoll.wait(manager.answers_at)?;
    }
}

/// Ends this process, which the manager has told systemd is not the main one.
///
/// An order to stop may have come before systemd took that in, and is handed on:
/// systemd 252 then takes this process for the main one to its end. Nor does
/// systemd believe a manager that has died meanwhile, so that this end is that of
/// the service: then it is a failure, and Restart= comes.
fn leave(manager: &mut Manager, parent: &Process) -> io::Result<Infallible> {
    manager.state.current = None;
    manager.state.status = None;
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
    /// Makes this process, which was the standby, the manager; unless a start came first, which finds the
    /// workers once this process is gone.
    fn take_over(&mut self, dead: Pid) {
        match pid_file::take_over(dead) {
            Ok(Outcome::Written) => {}
            Ok(Outcome::Others(pid)) => {
                let what = "takes over its workers";
                self.log
                    .warn(&format!("{pid} was started as {dead} died, and {what}"));
                std::process::exit(0);
            }
            Err(e) => self
                .log
                .error(&format!("cannot update the pid file: {e:#}")),
        }
        session::lead();
        self.take_in_orphans();
        self.phase.enter(Phase::Serving);
        self.adopt_newer(dead);
        // A reload that had begun may have had the next number.
        self.state.number += 1;
        if let Err(e) = self.watch_all() {
            self.log.error(&format!("cannot watch: {e}"));
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

    /// Finds the workers that the dead manager has started since this process was forked: those of the
    /// generation that serves belong to it, and those of a newer one are told to leave.
    fn adopt_newer(&mut self, dead: Pid) {
        let Some(current) = &mut self.state.current else {
            return;
        };
        let has_ended = |one: &Worker| one.process.has_ended().unwrap_or(true);
        while let Some(at) = current.workers.iter().position(has_ended) {
            current.lost(at);
        }
        for (process, number) in orphans::of_manager(&self.invocation, dead) {
            let mut worker = Worker::adopted(process, number);
            let is_known = |other: &Worker| other.pid() == worker.pid();
            if current
                .workers
                .iter()
                .chain(&self.state.leaving)
                .any(is_known)
            {
                continue;
            }
            if number > current.number {
                let settings = &current.settings;
                worker.leave(Some(settings.graceful), settings.reload_timeout());
                self.state.leaving.push(worker);
            } else if number == current.number && current.place(&mut worker) {
                worker.becomes_ready();
                current.workers.push(worker);
            }
        }
    }

    /// Ends the old generation in peace: drains what is gone, and tells the old workers to finish.
    pub fn finish_old(&mut self, release: Release) {
        if !release.gone.is_empty() {
            drain(&release.gone);
        }
        for worker in &self.state.leaving {
            if release.workers.contains(&worker.pid()) {
                // A process that has ended has finished.
                let _ = worker.process.signal(release.graceful);
            }
        }
    }
}
