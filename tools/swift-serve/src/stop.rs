//! The end of a server.

use std::io;
use std::time::Duration;

use swift_cli::Exit;
use swift_server::process;
use swift_sys::handover::{Forked, fork};
use swift_sys::signal::Signal;
use swift_sys::{fd, session};

use crate::manager::Manager;
use crate::sockets::{self, Listener};
use crate::state::Phase;
use crate::workers::READ_BUDGET;

impl Manager {
    /// Begins to end everything.
    pub fn stop(&mut self) {
        self.log.info("stopping");
        let status = format!("stopping {} workers", self.workers().count());
        self.notifier.stopping(&status, self.stop_timeout());
        // systemd, which may take the standby for the main process, kills what is left when that has ended.
        if let Some(standby) = self.state.standby() {
            standby.stop();
        }
        self.end_all(Ok(()), true);
    }

    /// Leaves at once; the workers finish what they have.
    pub fn leave(&mut self) -> anyhow::Result<Exit> {
        self.log.info("leaving, while the workers finish");
        self.notifier.stopping("leaving", Duration::ZERO);
        self.retire_standby();
        self.notifier.barrier();
        let pending = self.phase.enter(Phase::Stopping(Ok(())));
        let all = self.state.current.take().into_iter().chain(pending);
        for mut generation in all.chain(self.orphaned.take()) {
            self.discard(&generation.listeners);
            for worker in &mut generation.workers {
                worker.leave(Some(generation.settings.graceful), Duration::MAX);
            }
        }
        if !self.log.is_console() {
            // Printing must not end those who still finish a request.
            if let Ok(Forked::Child) = fork() {
                self.forward_last_output()?;
            }
        }
        Ok(Exit::Ok)
    }

    /// Logs what the workers print until the last of them has ended, in a
    /// process that holds nothing else.
    fn forward_last_output(&mut self) -> io::Result<()> {
        self.state.standbys.clear();
        self.state.leaving.clear();
        self.state.status = None;
        self.state.output[1] = fd::duplicate(&self.null)?.into();
        let mut buffer = vec![0; READ_BUDGET];
        loop {
            match fd::read(&self.state.output[0], &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.log_lines(&buffer[..length]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    fd::wait_readable(&self.state.output[0])?;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Removes the files of sockets, unless systemd keeps them for the next start.
    fn discard(&self, listeners: &[Listener]) {
        if !self.notifier.has_systemd() {
            sockets::discard(listeners, &[]);
        }
    }

    /// The time that workers get to end before they are killed.
    fn stop_timeout(&self) -> Duration {
        let pending = self.phase.pending().map(|one| &one.generation);
        let generations = self.state.current.iter().chain(pending);
        let seconds = generations.map(|one| one.settings.stop_timeout).max();
        Duration::from_secs(seconds.unwrap_or(10).into())
    }

    /// Tells all workers and all that they have started to end, and with them everything in this process's
    /// group if asked to. Those that take too long are killed.
    pub fn end_all(&mut self, outcome: Result<(), String>, with_group: bool) {
        let timeout = self.stop_timeout();
        let pending = self.phase.enter(Phase::Stopping(outcome));
        let all = self.state.current.take().into_iter().chain(pending);
        for generation in all.chain(self.orphaned.take()) {
            self.discard(&generation.listeners);
            self.state.leaving.extend(generation.workers);
        }
        let group = with_group && session::leads_group();
        if group {
            // This process has the signal blocked, and is in the group, so this cannot fail.
            let _ = session::signal_group(Signal::TERM);
        }
        let own = std::process::id() as i32;
        self.await_descendants();
        for worker in &mut self.state.leaving {
            let stat = process::stat(worker.pid()).ok().flatten();
            let is_signalled = group && stat.is_some_and(|stat| stat.group == own);
            worker.leave((!is_signalled).then_some(Signal::TERM), timeout);
        }
    }

    /// Kills what workers have left behind, once they have ended; `false` when there is nothing.
    pub fn kill_descendants(&mut self) -> bool {
        let is_left = self.await_descendants();
        for worker in &mut self.state.leaving {
            worker.leave(Some(Signal::KILL), Duration::MAX);
        }
        is_left
    }
}
