//! The seamless reload, from the check of the config to the verdict.

use std::io;
use std::time::Duration;

use swift_server::check::{Checks, Command, ConfigCheck, Verdict};
use swift_sys::signal::Signal;
use swift_sys::{failpoint, fd, handover};

use crate::event::{CHECK, STANDBY};
use crate::manager::Manager;
use crate::sockets::{self, Listener};
use crate::standby::{self, Standby};
use crate::state::Phase;
use crate::takeover::{self, Began};
use crate::worker::WorkerState;
use crate::{connections, environment};

impl Manager {
    /// Begins: has the new config checked by a child. RELOADING=1 waits until
    /// there is a standby, so that the death of this process leaves no service
    /// that reloads for ever.
    pub fn reload(&mut self) {
        failpoint::at("reload-begun");
        self.log.info("reloading");
        let timeout = self.reload_timeout();
        self.notifier
            .step("reloading: checking the config", timeout);
        let begun = Checks::new(timeout).and_then(|mut checks| {
            let command = Command {
                program: self.invocation.program(),
                args: self.invocation.check_line(),
            };
            let own = ConfigCheck {
                command: Some(command),
                fallback: None,
                preflight: None,
                directory: None,
                user: None,
                environment: None,
            };
            checks.add(0, own);
            self.epoll.add(&checks, CHECK)?;
            Ok(checks)
        });
        match begun {
            Ok(checks) => {
                self.phase = Phase::Checking(checks);
                self.advance_check();
            }
            Err(e) => self.fail(&format!("cannot check the config: {e}")),
        }
    }

    /// The longest time for each part of a reload.
    fn reload_timeout(&self) -> Duration {
        let current = self.state.current.as_ref();
        current.map_or(Duration::from_secs(60), |one| one.settings.reload_timeout())
    }

    /// Goes on when the check has come to its end.
    pub fn advance_check(&mut self) {
        let Phase::Checking(checks) = &mut self.phase else {
            return;
        };
        let verdict = checks.advance().map(|all| all.into_iter().next());
        let outcome = match verdict {
            Ok(None) => return,
            Ok(Some((_, verdict))) => outcome(verdict),
            Err(e) => Err(format!("cannot check the config: {e}")),
        };
        self.phase = Phase::Serving;
        if let Err(why) = outcome.and_then(|()| self.execute()) {
            self.fail(&why);
        }
    }

    /// Forks the standby and executes the program anew. In the manager this
    /// returns only when that failed; in the standby, when it has taken over.
    fn execute(&mut self) -> Result<(), String> {
        let cannot = |e: &dyn std::fmt::Display| format!("cannot execute anew: {e}");
        failpoint::at("check-done");
        failpoint::at("before-fork");
        let standby = match takeover::begin(self).map_err(|e| cannot(&e))? {
            Began::TookOver => return Ok(()),
            Began::Here(standby) => standby,
        };
        failpoint::at("after-fork");
        let pid = standby.process.pid;
        // Should the program not be executed, this process sees the end of the standby.
        let _ = self.epoll.add(&standby.process, STANDBY);
        self.state.standbys.push(standby);
        self.notifier.reloading(pid, self.reload_timeout());
        self.phase = Phase::Preparing(None);
        failpoint::at("announced");
        let memfd = self.state.write().map_err(|e| cannot(&e))?;
        failpoint::at("before-exec");
        let error = self.state.inheriting(&memfd, |number| {
            let own = std::process::id();
            handover::replace(
                self.invocation.program().as_os_str(),
                self.invocation.line(),
                &[
                    (environment::HANDOVER, format!("{number}:{own}")),
                    // Until it executes, a worker of the new image shows its environment.
                    (environment::MANAGER, own.to_string()),
                    (environment::GENERATION, (self.state.number + 1).to_string()),
                ],
            )
        });
        let why = swift_sys::error::reason_of(&error);
        let program = self.invocation.program();
        Err(format!("cannot execute {}: {why}", program.display()))
    }

    /// Puts the new generation in the place of the old one once all of its
    /// workers are ready.
    pub fn commit_if_ready(&mut self) {
        let pending = self.phase.pending();
        let is_ready = pending.is_some_and(|one| one.generation.is_ready());
        let next = is_ready.then(|| self.phase.enter(Phase::Serving));
        let Some(generation) = next.flatten() else {
            return;
        };
        failpoint::at("workers-ready");
        let workers = generation.workers.len();
        let mut verdict = format!(
            "generation {} serves with {workers} workers",
            generation.number
        );
        let old = self.state.current.take().or(self.orphaned.take());
        if let Some(old) = old {
            for listener in &old.listeners {
                // The new generation may have it open too, and then it would be reported twice.
                let _ = self.epoll.remove(&listener.fd);
            }
            let is_kept = |one: &Listener| generation.listeners.iter().any(|new| new.is(one));
            let (kept, gone): (Vec<_>, Vec<_>) = old.listeners.into_iter().partition(is_kept);
            let waiting = connections::waiting(&kept);
            failpoint::at("before-release");
            let released = self.release(&gone, old.settings.graceful, &verdict);
            failpoint::at("after-release");
            if !released {
                sockets::discard(&gone, &[]);
            }
            let timeout = Duration::from_secs(old.settings.stale_worker_timeout.into());
            for mut worker in old.workers {
                let is_told = released || worker.state == WorkerState::Leaving;
                worker.leave((!is_told).then_some(old.settings.graceful), timeout);
                self.state.leaving.push(worker);
            }
            // The old workers are let go first: their release waits for no number.
            let open = connections::Open::count(&generation.listeners, connections::BUDGET);
            let open = open.map_or("open connections not counted".into(), |open| {
                open.to_string()
            });
            verdict.push_str(&format!(": {open}, {waiting} waiting ones handed over"));
        }
        self.state.current = Some(generation);
        if let Err(e) = self.watch_listeners() {
            self.log
                .warn(&format!("cannot watch the listening sockets: {e}"));
        }
        if let Err(e) = self.close_output() {
            self.log.warn(&format!("cannot close the output: {e}"));
        }
        self.log.info(&verdict);
        self.state.verdict = verdict;
        self.notifier.ready(&self.state.verdict);
        failpoint::at("done");
    }

    /// Closes what the server was started with, which says that it is ready.
    fn close_output(&self) -> io::Result<()> {
        if self.log.is_console() {
            return Ok(());
        }
        for stdio in [1, 2] {
            fd::take_over(stdio, fd::duplicate(&self.null)?)?;
        }
        Ok(())
    }

    /// Has the standby drain these and tell the old workers to finish; `false`
    /// when there is none, and this process has to.
    fn release(&mut self, gone: &[Listener], graceful: Signal, status: &str) -> bool {
        let Some(standby) = self.state.waiting_standby() else {
            return false;
        };
        // systemd is not to see the end of its main process.
        self.notifier.is_main(status);
        let addresses: Vec<String> = gone.iter().map(|one| one.address.to_string()).collect();
        standby.releases = Some(graceful);
        standby.notify(standby::RELEASE, &addresses.join("\n"))
    }

    /// Takes out standbys that have ended, and does the work of one that could
    /// not do it.
    pub fn on_standby_end(&mut self) {
        let has_ended = |one: &mut Standby| one.process.has_ended().unwrap_or(false);
        let ended: Vec<Standby> = self.state.standbys.extract_if(.., has_ended).collect();
        for standby in ended {
            let left_undone = standby.left_undone();
            if !standby.is_notified {
                let status = "reloading, though the standby was killed";
                self.log.warn(status);
                self.notifier.is_main(status);
            }
            let Some(signal) = left_undone else { continue };
            self.log
                .warn("the standby was killed, telling old workers to finish");
            for worker in self.state.leaving.iter().filter(|one| one.was_ready) {
                let _ = worker.process.signal(signal);
            }
        }
    }

    /// Tells the standby that it is not needed.
    pub fn dismiss_standby(&mut self) {
        let verdict = self.state.verdict.clone();
        if let Some(standby) = self.state.waiting_standby() {
            self.notifier.is_main(&verdict);
            standby.notify(standby::DISMISS, "");
        }
    }
}

/// The outcome of a config check; the error says why the config is refused.
fn outcome(verdict: Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Good => Ok(()),
        Verdict::TooOld => Err("the program cannot check the config".into()),
        Verdict::Bad(reason, text) => {
            let mut lines = text.trim_ascii_end().rsplit(|b| *b == b'\n');
            let last = String::from_utf8_lossy(lines.next().unwrap_or_default());
            let last = last.strip_prefix("swift-serve: ").unwrap_or(&last);
            Err(match last {
                "" => format!("the check of its config failed ({reason})"),
                last => last.to_owned(),
            })
        }
    }
}
