//! The seamless reload, from the check of the config to the verdict.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;

use swift_records::reason::Reason;
use swift_server::check::{Checks, Command, ConfigCheck, Verdict};
use swift_sys::error::reason_of;
use swift_sys::{failpoint, fd, handover};

use crate::event::{CHECK, STANDBY};
use crate::generation::Generation;
use crate::manager::Manager;
use crate::sockets::{self, Listener};
use crate::standby::Standby;
use crate::state::Phase;
use crate::takeover::{self, Began, Release};
use crate::worker::WorkerState;
use crate::{connections, environment};

impl Manager {
    /// Begins: forks the standby, and has the new config checked by a child. RELOADING=1 waits until
    /// there is a standby, so that the death of this process leaves no service that reloads for ever.
    pub fn reload(&mut self) {
        failpoint::at("reload-begun");
        self.log.info("reloading");
        match self.renew_standby(&mut None) {
            Ok(Began::Here) => {}
            Ok(Began::TookOver) => return,
            Err(e) => return self.fail(&format!("cannot fork a standby: {e}")),
        }
        failpoint::at("after-fork");
        let timeout = self.reload_timeout();
        if let Some(standby) = self.state.standby() {
            let pid = standby.process.pid;
            self.notifier.reloading(pid, timeout);
        }
        failpoint::at("announced");
        self.notifier
            .step("reloading: checking the config", timeout);
        let begun = self.begin_check(timeout);
        match begun {
            Ok(checks) => {
                self.phase = Phase::Checking(checks);
                self.advance_check();
            }
            Err(e) => {
                self.phase = Phase::Preparing(None);
                self.fail(&format!("cannot check the config: {e}"));
            }
        }
    }

    fn begin_check(&mut self, timeout: Duration) -> io::Result<Checks> {
        let directory = fd::directory(&self.invocation.directory);
        let directory = directory.map_err(|e| io::Error::other(self.cannot_enter(&e)))?;
        let mut checks = Checks::new(timeout)?;
        let command = Command {
            program: self.invocation.program(),
            args: self.invocation.check_line(),
        };
        let own = ConfigCheck {
            command: Some(command),
            fallback: None,
            preflight: None,
            directory: Some(directory),
            user: None,
            environment: Some(environment::of_check(self.state.version)),
        };
        checks.add(0, own);
        self.epoll.add(&checks, CHECK)?;
        Ok(checks)
    }

    fn cannot_enter(&self, error: &io::Error) -> String {
        let directory = self.invocation.directory.display();
        format!("cannot enter {directory}: {}", reason_of(error))
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
            Ok(Some((_, verdict))) => outcome(verdict, &self.invocation.program()),
            Err(e) => Err(format!("cannot check the config: {e}")),
        };
        self.phase = Phase::Preparing(None);
        let Err(why) = outcome.and_then(|()| self.execute());
        self.fail(&why);
    }

    /// Executes the program anew. This returns only when that failed.
    fn execute(&mut self) -> Result<Infallible, String> {
        let cannot = |e: &dyn std::fmt::Display| format!("cannot execute anew: {e}");
        failpoint::at("check-done");
        let entered = std::env::set_current_dir(&self.invocation.directory);
        entered.map_err(|e| self.cannot_enter(&e))?;
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
                    (environment::WATCHDOG_PID, self.notifier.watchdog_pid()),
                ],
            )
        });
        let why = reason_of(&error);
        let program = self.invocation.program();
        Err(format!("cannot execute {}: {why}", program.display()))
    }

    /// Forks a standby that has what there is now, in the place of the one before. In the standby this
    /// returns when it has taken over.
    fn renew_standby(&mut self, release: &mut Option<Release>) -> io::Result<Began> {
        failpoint::at("before-fork");
        let began = takeover::begin(self, release)?;
        if began == Began::Here
            && let Some((standby, before)) = self.state.standbys.split_last_mut()
        {
            // Should the program not be executed, this process sees the end of the standby.
            let _ = self.epoll.add(&standby.process, STANDBY);
            before.iter_mut().for_each(Standby::retire);
        }
        Ok(began)
    }

    /// Tells the standby that it is not needed any more.
    pub fn retire_standby(&mut self) {
        let verdict = self.state.verdict.clone();
        if let Some(standby) = self.state.standby() {
            // systemd is not to see the end of its main process.
            self.notifier.is_main(&verdict);
            standby.retire();
        }
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
        self.state.current = Some(generation);
        // Before there is a standby, which would keep it open.
        if let Err(e) = self.close_output() {
            self.log.warn(&format!("cannot close the output: {e}"));
        }
        let mut gone_names = Vec::new();
        if let Some(mut old) = old {
            for listener in &old.listeners {
                // The new generation may have it open too, and then it would be reported twice.
                let _ = self.epoll.remove(&listener.fd);
            }
            let is_kept = |one: &Listener| self.listeners().iter().any(|new| new.is(one));
            let (kept, gone): (Vec<_>, Vec<_>) = old.listeners.into_iter().partition(is_kept);
            let waiting = connections::waiting(&kept);
            drop(kept);
            old.listeners = gone;
            gone_names.extend(old.listeners.iter().map(Listener::stored_name));
            failpoint::at("before-release");
            let has_work = !old.workers.is_empty() || !old.listeners.is_empty();
            if (has_work || self.state.standby().is_some())
                && self.release(old, &verdict) == Began::TookOver
            {
                return;
            }
            failpoint::at("after-release");
            // The old workers are let go first: their release waits for no number.
            let open = connections::Open::count(self.listeners(), connections::BUDGET);
            let open = open.map_or("open connections not counted".into(), |open| {
                open.to_string()
            });
            verdict.push_str(&format!(": {open}, {waiting} waiting ones handed over"));
        }
        self.notifier.store(self.listeners(), &gone_names);
        if let Err(e) = self.watch_listeners() {
            self.log
                .warn(&format!("cannot watch the listening sockets: {e}"));
        }
        let current = self.state.current.as_ref();
        let granted =
            current.map(|one| sockets::grant(&one.listeners, one.settings.sockets.access));
        if let Some(Err(e)) = granted {
            self.log
                .warn(&format!("cannot change the mode of a socket: {e}"));
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

    /// Has a standby drain the sockets of the old generation, which are not kept, and tell its workers to
    /// finish.
    fn release(&mut self, old: Generation, status: &str) -> Began {
        let timeout = Duration::from_secs(old.settings.stale_worker_timeout.into());
        let mut release = Release {
            gone: old.listeners,
            workers: Vec::new(),
            graceful: old.settings.graceful,
        };
        for mut worker in old.workers {
            if worker.state != WorkerState::Leaving {
                release.workers.push(worker.pid());
            }
            worker.leave(None, timeout);
            self.state.leaving.push(worker);
        }
        // systemd is not to see the end of its main process.
        self.notifier.is_main(status);
        let mut release = Some(release);
        let began = self.renew_standby(&mut release);
        began.unwrap_or_else(|e| {
            self.log.warn(&format!("cannot fork a standby: {e}"));
            self.retire_standby();
            if let Some(mut release) = release {
                sockets::discard(&std::mem::take(&mut release.gone), &[]);
                self.finish_old(release);
            }
            Began::Here
        })
    }

    /// Takes out standbys that have ended, and does the work of one that could
    /// not do it.
    pub fn on_standby_end(&mut self) {
        let has_ended = |one: &mut Standby| one.process.has_ended().unwrap_or(false);
        let ended: Vec<Standby> = self.state.standbys.extract_if(.., has_ended).collect();
        for standby in ended {
            let left_undone = standby.left_undone();
            if !standby.is_retired {
                self.log.warn("the standby was killed");
                let verdict = self.state.verdict.clone();
                self.notifier.is_main(&verdict);
            }
            let Some(signal) = left_undone else { continue };
            self.log
                .warn("the standby was killed, telling old workers to finish");
            for worker in self.state.leaving.iter().filter(|one| one.was_ready) {
                let _ = worker.process.signal(signal);
            }
        }
    }
}

/// The outcome of a config check by this program; the error says why the reload is refused.
fn outcome(verdict: Verdict, program: &Path) -> Result<(), String> {
    let cannot_execute = |why: &str| Err(format!("cannot execute {}: {why}", program.display()));
    match verdict {
        Verdict::Good => Ok(()),
        Verdict::TooOld => Err("the program cannot check the config".into()),
        Verdict::Bad(Reason::ExecMissing, _) => cannot_execute("No such file or directory"),
        Verdict::Bad(Reason::ExecFailed, why) => cannot_execute(&String::from_utf8_lossy(&why)),
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
