//! The seamless reload, from its beginning to the verdict.

use std::time::Duration;

use swift_server::check::{Checks, Command, ConfigCheck, Verdict};
use swift_sys::failpoint;
use swift_sys::handover as sys;
use swift_sys::signal::Signal;

use crate::event::{CHECK, STANDBY};
use crate::sockets::{self, Listener};
use crate::standby;
use crate::state::{Manager, PendingGeneration};
use crate::takeover::{self, Began};
use crate::worker::WorkerState;
use crate::{connections, environment, handover};

impl Manager {
    /// Begins: has the new config checked by a child. RELOADING=1 waits until
    /// there is a standby, so that the death of this process leaves no service
    /// that reloads for ever.
    pub fn reload(&mut self) {
        failpoint::at("reload-begun");
        self.log.info("reloading");
        self.is_announced = false;
        let timeout = self.reload_timeout();
        self.notifier
            .step("reloading: checking the config", timeout);
        let begun = Checks::new(timeout).and_then(|mut check| {
            let own = ConfigCheck {
                command: Some(Command {
                    program: self.invocation.program(),
                    args: self.invocation.check_line(),
                }),
                fallback: None,
                preflight: None,
                directory: None,
                user: None,
                environment: None,
            };
            check.add(0, own);
            self.epoll.add(&check, CHECK)?;
            Ok(check)
        });
        match begun {
            Ok(check) => {
                self.check = Some(check);
                self.advance_check();
            }
            Err(e) => self.fail(&format!("cannot check the config: {e}")),
        }
    }

    /// How long each part of a reload may take.
    fn reload_timeout(&self) -> Duration {
        let seconds = self.current.as_ref().map(|one| one.settings.reload_timeout);
        Duration::from_secs(seconds.unwrap_or(60).into())
    }

    /// Goes on when the check has come to its end.
    pub fn advance_check(&mut self) {
        let Some(check) = &mut self.check else { return };
        let verdict = match check.advance() {
            Ok(verdicts) => match verdicts.into_iter().next() {
                Some((_, verdict)) => verdict,
                None => return,
            },
            Err(e) => {
                self.check = None;
                return self.fail(&format!("cannot check the config: {e}"));
            }
        };
        self.check = None;
        match verdict {
            Verdict::Good => {
                failpoint::at("check-done");
                if let Err(why) = self.execute() {
                    self.fail(&why);
                }
            }
            Verdict::TooOld => self.fail("the program cannot check the config"),
            Verdict::Bad(reason, text) => {
                let mut lines = text.trim_ascii_end().rsplit(|b| *b == b'\n');
                let last = String::from_utf8_lossy(lines.next().unwrap_or_default());
                let last = last.strip_prefix("swift-serve: ").unwrap_or(&last);
                self.fail(&match last {
                    "" => format!("the check of its config failed ({reason})"),
                    last => last.to_owned(),
                });
            }
        }
    }

    /// Forks the standby and executes the program anew. In the manager this
    /// returns only when that failed; in the standby, when it has taken over.
    fn execute(&mut self) -> Result<(), String> {
        let cannot = |e: &dyn std::fmt::Display| format!("cannot execute anew: {e}");
        failpoint::at("before-fork");
        match takeover::begin(self).map_err(|e| cannot(&e))? {
            Began::TookOver => return Ok(()),
            Began::Here(standby) => self.standbys.push(standby),
        }
        failpoint::at("after-fork");
        if let Some(standby) = self.standbys.last() {
            let pid = standby.process.pid;
            self.notifier.reloading(pid, self.reload_timeout());
            self.is_announced = true;
        }
        failpoint::at("announced");
        let note = handover::leave(self).map_err(|e| cannot(&e))?;
        failpoint::at("before-exec");
        let error = handover::inheriting(self, &note, || {
            let own = std::process::id();
            sys::replace(
                self.invocation.program().as_os_str(),
                self.invocation.line(),
                &[
                    (environment::HANDOVER, handover::number(&note, own)),
                    // Until it executes, a worker of the new image shows its environment.
                    (environment::MANAGER, own.to_string()),
                    (environment::GENERATION, (self.number + 1).to_string()),
                ],
            )
        });
        if let Some(standby) = self.standbys.last() {
            let _ = self.epoll.add(&standby.process, STANDBY);
        }
        let why = swift_sys::error::reason_of(&error);
        let program = self.invocation.program();
        Err(format!("cannot execute {}: {why}", program.display()))
    }

    /// Puts the new generation in the place of the old one once all of its
    /// workers are ready.
    pub fn commit_if_ready(&mut self) {
        let is_ready = |one: &PendingGeneration| one.generation.is_ready();
        let Some(pending) = self.pending.take_if(|one| is_ready(one)) else {
            return;
        };
        failpoint::at("workers-ready");
        let generation = pending.generation;
        let workers = generation.workers.len();
        let mut verdict = format!(
            "generation {} serves with {workers} workers",
            generation.number
        );
        if let Some(old) = self.current.take() {
            let waiting = connections::waiting(&old.listeners);
            failpoint::at("before-release");
            let gone: Vec<Listener> = old
                .listeners
                .into_iter()
                .filter(|one| {
                    !generation
                        .listeners
                        .iter()
                        .any(|new| new.address == one.address)
                })
                .collect();
            let released = self.release(&gone, old.settings.graceful(), &verdict);
            failpoint::at("after-release");
            if !released {
                sockets::discard(&gone, &[]);
            }
            let graceful = (!released).then(|| old.settings.graceful());
            let timeout = Duration::from_secs(old.settings.stale_worker_timeout.into());
            for mut worker in old.workers {
                worker.leave(graceful, timeout);
                self.leaving.push(worker);
            }
            // The old workers are let go first: their release waits for no number.
            let open = connections::Open::count(&generation.listeners);
            verdict.push_str(&format!(": {open}, {waiting} waiting ones handed over"));
        }
        self.current = Some(generation);
        if let Err(e) = self.close_output() {
            self.log.warn(&format!("cannot close the output: {e}"));
        }
        self.log.info(&verdict);
        self.verdict = verdict;
        self.notifier.ready(&self.verdict);
        failpoint::at("done");
        if let Some(standby) = self.standbys.last() {
            standby.hang_up();
        }
    }

    /// Has the standby drain these and tell the old workers to finish; `false`
    /// when there is none, and this process has to.
    fn release(&mut self, gone: &[Listener], graceful: Signal, status: &str) -> bool {
        let Some(standby) = self.standbys.last_mut().filter(|one| one.is_waiting()) else {
            return false;
        };
        // systemd is not to see the end of its main process.
        self.notifier.is_main(status);
        let addresses: Vec<String> = gone.iter().map(|one| one.address.to_string()).collect();
        standby.releases = Some(graceful);
        standby.tell(standby::RELEASE, &addresses.join("\n"))
    }

    /// Takes out standbys that have ended, and does the work of one that could
    /// not do it.
    pub fn standbys_ended(&mut self) {
        let mut left_undone = None;
        let mut is_alone = false;
        self.standbys.retain(|standby| match standby.take_end() {
            None => true,
            Some(undone) => {
                left_undone = left_undone.or(undone);
                is_alone |= standby.is_waiting();
                false
            }
        });
        if is_alone {
            let status = "reloading, though the standby was killed";
            self.log.warn(status);
            self.notifier.is_main(status);
        }
        if let Some(signal) = left_undone {
            self.log
                .warn("the standby was killed, telling old workers to finish");
            for worker in self.leaving.iter().filter(|one| one.was_ready) {
                let _ = worker.process.signal(signal);
            }
        }
    }

    /// Tells the standby that it is not needed.
    pub fn dismiss_standby(&mut self) {
        if let Some(standby) = self.standbys.last_mut().filter(|one| one.is_waiting()) {
            self.notifier.is_main(&self.verdict);
            standby.tell(standby::DISMISS, "");
            standby.hang_up();
        }
    }

    /// Tells the standby to end after this process: systemd, which may take it for
    /// the main process, kills what is left when that has ended.
    pub fn stop_standby(&mut self) {
        if let Some(standby) = self.standbys.last_mut().filter(|one| one.is_waiting()) {
            standby.tell(standby::STOP, "");
        }
    }

    /// Makes this process, which was the standby, the manager.
    pub fn take_over(&mut self, dead: swift_server::process::Pid) {
        use swift_sys::session;
        session::lead();
        self.standbys.clear();
        self.check = None;
        self.status = None;
        self.open_status();
        let workers = self.current.iter_mut().flat_map(|one| &mut one.workers);
        for worker in workers.chain(&mut self.leaving) {
            worker.is_child = false;
        }
        self.number += 1;
        self.end_orphans(dead);
        if let Err(e) = self.watch_all() {
            self.log.error(&format!("cannot watch: {e}"));
        }
        if let Err(e) = crate::pid_file::take_over(dead) {
            self.log
                .error(&format!("cannot update the pid file: {e:#}"));
        }
        let serving = self.current.as_ref().map_or(0, |one| one.number);
        self.verdict = format!(
            "generation {serving} serves on, manager {dead} died in a reload and {} took over",
            std::process::id()
        );
        self.log.error(&self.verdict);
        let why = "the manager died in the reload";
        self.notifier.refused(&self.verdict, why, true);
    }

    /// Tells the workers to leave that the dead manager had started for the new
    /// generation.
    fn end_orphans(&mut self, dead: swift_server::process::Pid) {
        let Some((signal, timeout)) = self.current.as_ref().map(|one| {
            let timeout = Duration::from_secs(one.settings.reload_timeout.into());
            (one.settings.graceful(), timeout)
        }) else {
            return;
        };
        for process in crate::orphans::of_generation(&self.invocation, dead, self.number) {
            let id = self.next_id();
            let mut worker = crate::worker::Worker::orphaned(process, id, self.number);
            worker.leave(Some(signal), timeout);
            debug_assert_eq!(worker.state, WorkerState::Leaving);
            self.leaving.push(worker);
        }
    }

    /// Ends this standby's work in peace: drains what is gone, and tells the old
    /// workers to finish.
    pub fn finish_old(&mut self, gone: &str) {
        let Some(old) = &mut self.current else { return };
        let gone: Vec<&str> = gone.lines().collect();
        let is_gone = |one: &Listener| gone.contains(&one.address.to_string().as_str());
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut old.listeners)
            .into_iter()
            .partition(is_gone);
        drop(kept);
        if !gone.is_empty() {
            takeover::drain(&gone);
        }
        let graceful: Signal = old.settings.graceful();
        for worker in &old.workers {
            let _ = worker.process.signal(graceful);
        }
    }
}
