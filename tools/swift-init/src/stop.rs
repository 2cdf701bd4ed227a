//! Stopping, and the first half of restarting.

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::signal::Signal;

use crate::act::{Event, Role};
use crate::group::{self, Group, Place};
use crate::options::Command;
use crate::report;
use crate::session::Session;
use crate::start::left_alone;
use crate::status;

impl Session<'_> {
    /// Stops what runs. Whether something ran and nothing is left of it.
    pub fn stop(&mut self) -> anyhow::Result<bool> {
        self.end_all(false)?;
        let ended: usize = self.tallies.iter().map(|t| t.ended).sum();
        Ok(ended > 0 && !self.has_failed())
    }

    /// Stops what runs; that nothing did is fine.
    pub fn kill(&mut self) -> anyhow::Result<bool> {
        if !self.stop()? {
            for place in 0..self.groups.len() {
                let group = &self.groups[place];
                let said = self.tallies[place].said_none && self.options.number.is_none();
                if !said || group.running().next().is_some() {
                    status::say_one(self.options, group, &mut self.voice);
                }
            }
        }
        Ok(!self.has_failed())
    }

    /// Stops what runs and starts it again, each as soon as it has ended;
    /// starts what did not run as well. Whether all runs afterwards.
    pub fn restart(&mut self) -> anyhow::Result<bool> {
        for place in 0..self.groups.len() {
            for number in 0..self.groups[place].rows.len() {
                let row = self.groups[place].rows[number].clone();
                if group::may_be_started(&row) {
                    self.spawn((place, number), &row)?;
                }
            }
        }
        let rows = || self.groups.iter().flat_map(|group| &group.rows);
        if rows().any(|row| row.state == State::Running) {
            self.before_restarts()?;
        }
        self.end_all(true)?;
        if self.groups.iter().all(left_alone) {
            self.act.close(Role::Spawn);
            while self.next()?.is_some() {}
            return Ok(!self.has_failed());
        }
        self.start_all(false)
    }

    /// Whether something is left that should not be, or could not be looked at.
    pub fn has_failed(&self) -> bool {
        let bad = |t: &crate::session::Tally| t.failed || t.survivors > 0 || t.denied > 0;
        self.failed || !self.act.sound || self.tallies.iter().any(bad)
    }

    /// Whether what is stopped is to be started again.
    fn restarts(&self) -> bool {
        matches!(
            self.options.command,
            Command::Restart | Command::Reload | Command::ReloadSeamless
        )
    }

    /// Announces what will be signalled, has it done, and tells what became of it.
    fn end_all(&mut self, restart: bool) -> anyhow::Result<()> {
        for place in 0..self.groups.len() {
            if self.options.number.is_some() {
                status::configs(self.options, &self.groups[place], &mut self.voice);
            }
            for number in 0..self.groups[place].rows.len() {
                let row = self.groups[place].rows[number].clone();
                self.end_one((place, number), &row)?;
            }
            let tally = &self.tallies[place];
            if tally.signalled == 0 && !runs_untouched(&self.groups[place]) {
                self.say_none(place);
            }
        }
        self.act.close(Role::Signal);
        while self.act.runs(Role::Signal) {
            match self.next()? {
                Some(Event::Row(Role::Signal, row)) => self.signalled(row, restart)?,
                Some(Event::Row(_, row)) => self.held.push(row),
                _ => {}
            }
        }
        self.voice.release();
        Ok(())
    }

    /// Announces the signal for one instance and has it sent, or says why not.
    pub fn end_one(&mut self, at: Place, row: &Row) -> anyhow::Result<()> {
        let (place, _) = at;
        let server = &self.groups[place].server;
        let signal = match self.options.command {
            Command::ReloadSeamless => server.seamless.unwrap_or(server.stop),
            _ if self.options.graceful => server.graceful,
            _ => server.stop,
        };
        match row.state {
            State::Running => {
                // First, since what cannot be sent is not to be said.
                self.need_signal()?;
                // It is said once it was done.
                self.voice.hold();
                self.voice.signal(row, signal);
                if self.restarts() && !row.is_orphan() {
                    self.restarting.insert(at);
                    self.act.announce(Role::Spawn, row);
                }
                self.tallies[place].signalled += 1;
                self.act.give(Role::Signal, row);
            }
            State::Denied => {
                self.voice.signal(row, signal);
                self.voice.no_permission(row);
                self.tallies[place].denied += 1;
            }
            State::Owned => {
                self.refuse(row);
                self.tallies[place].failed = true;
            }
            State::Starting | State::Misconfigured | State::WrongConfig => {
                self.report(row);
                self.tallies[place].failed = true;
            }
            _ => {
                self.voice.removed(row, self.options.verbose);
                self.untidy(place, row);
            }
        }
        Ok(())
    }

    /// Says which unit owns an instance, and what to do instead.
    fn refuse(&mut self, row: &Row) {
        let then = match self.options.command {
            Command::Restart => "restart",
            Command::Reload | Command::ReloadSeamless => "reload",
            _ => "stop",
        };
        self.before_report();
        report::owned(row, then);
    }

    /// Reports a pid file that could not be read or removed.
    pub fn untidy(&mut self, place: usize, row: &Row) {
        let failed = row.reason() == Some(Reason::Unreadable) || row.kept().is_some();
        if failed {
            self.report(row);
            self.tallies[place].failed = true;
        }
    }

    /// Tells what became of an instance that was to end, and has it started
    /// again if that is wanted.
    pub fn signalled(&mut self, row: Row, restart: bool) -> anyhow::Result<()> {
        let Some(at) = self.replace(&row) else {
            return Ok(());
        };
        let (place, _) = at;
        if row.state == State::Signalled {
            return Ok(());
        }
        let tidy = row.kept().is_none();
        match (row.state, row.reason()) {
            (State::Killed, _) => {
                self.say_waited(place, "killing");
                self.voice.signal(&row, Signal::KILL);
                self.tallies[place].ended += 1;
            }
            (State::Survived, _) => {
                self.say_waited(place, "giving up");
                self.report(&row);
                self.tallies[place].survivors += 1;
            }
            (State::Denied, _) => {
                self.voice.no_permission(&row);
                self.tallies[place].denied += 1;
            }
            (State::Stopped | State::Orphan, None) => {
                self.voice.stopped(&row, self.options.verbose);
                self.tallies[place].ended += 1;
            }
            (State::Stopped | State::Orphan, Some(_)) if !tidy => {
                self.voice.stopped(&row, false);
                self.tallies[place].ended += 1;
            }
            (State::Stopped | State::Orphan, Some(_)) => {
                self.voice.removed(&row, self.options.verbose);
            }
            _ => {
                self.report(&row);
                self.tallies[place].failed = true;
            }
        }
        self.untidy(place, &row);
        let tally = &mut self.tallies[place];
        tally.answered += 1;
        if tally.ended + tally.survivors == 0 && tally.signalled == tally.answered {
            self.say_none(place);
        }
        let ended = matches!(row.state, State::Stopped | State::Killed);
        if restart && ended {
            self.spawn(at, &row.with_state(State::Stopped))?;
        }
        Ok(())
    }

    /// Says that nothing of a server runs, once, where that is known.
    pub fn say_none(&mut self, place: usize) {
        if self.groups[place].is_unclear() {
            return;
        }
        if !std::mem::replace(&mut self.tallies[place].said_none, true) {
            self.voice
                .line(&format!("No {} running", self.groups[place].server.name));
        }
    }

    fn say_waited(&mut self, place: usize, then: &str) {
        if std::mem::replace(&mut self.tallies[place].said_waited, true) {
            return;
        }
        let default = self.catalogue.kill_wait.as_secs() as i64;
        let seconds = self.options.kill_wait.unwrap_or(default);
        let name = &self.groups[place].server.name;
        self.voice.line(&format!(
            "Waited {seconds} seconds for {name} to die; {then}"
        ));
    }
}

/// Whether something of a server runs that is left alone on purpose.
fn runs_untouched(group: &Group) -> bool {
    group.running().any(|row| row.state != State::Running)
}
