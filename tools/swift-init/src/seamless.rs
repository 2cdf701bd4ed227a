//! The seamless reload of servers that can, and the restart of those that
//! cannot: never is anything stopped for good.

use swift_records::row::Row;
use swift_records::state::State;

use crate::act::{Event, Role};
use crate::group::Group;
use crate::session::Session;
use crate::status;

impl Session<'_> {
    /// Reloads what runs; what is down stays down. Whether all of it runs anew.
    pub fn reload_seamless(&mut self) -> anyhow::Result<bool> {
        let is_restarted = |group: &Group| {
            let runs = |row: &Row| row.state == State::Running;
            group.server.seamless.is_none() && group.rows.iter().any(runs)
        };
        if self.groups.iter().any(is_restarted) {
            self.before_restarts()?;
        }
        for place in 0..self.groups.len() {
            if self.options.number.is_some() {
                status::configs(self.options, &self.groups[place], &mut self.voice);
            }
            let seamless = self.groups[place].server.seamless.is_some();
            for number in 0..self.groups[place].rows.len() {
                let mut row = self.groups[place].rows[number].clone();
                // The unit that owns it keeps it: its pid stays.
                if seamless && row.state == State::Owned {
                    row = row.with_state(State::Running);
                    self.groups[place].rows[number] = row.clone();
                }
                if seamless && row.state == State::Running {
                    self.need_reload()?;
                    match self.groups[place].server.notify {
                        true => self.act.give(Role::Reload, &row),
                        false => self.act.give_to_begin(Role::Reload, &row),
                    }
                } else {
                    self.end_one((place, number), &row)?;
                }
            }
            if self.groups[place].running().next().is_none() {
                self.say_none(place);
                self.tallies[place].failed = true;
            }
        }
        self.act.close(Role::Signal);
        self.act.close(Role::Reload);
        // A daemon is started as soon as it has ended, and told of when all
        // have: then the lines stand in the order of a restart.
        while self.act.runs(Role::Signal) || self.act.runs(Role::Reload) {
            match self.next()? {
                Some(Event::Row(Role::Signal, row)) => self.signalled(row, true)?,
                Some(Event::Row(Role::Reload, row)) => self.reloaded(row),
                Some(Event::Row(Role::Spawn, row)) => self.held.push(row),
                Some(Event::End(Role::Signal)) => self.announce_restarts(),
                _ => {}
            }
        }
        self.voice.release();
        self.finish_starts()
    }

    fn announce_restarts(&mut self) {
        self.act.close(Role::Spawn);
        if self.given.is_empty() {
            return;
        }
        self.say_limits();
        for place in 0..self.groups.len() {
            for number in 0..self.groups[place].rows.len() {
                if self.given.contains(&(place, number)) {
                    let row = self.groups[place].rows[number].clone();
                    self.say_starting(place, &row);
                }
            }
        }
    }

    /// Tells what became of an instance that was to be reloaded.
    fn reloaded(&mut self, row: Row) {
        let Some((place, _)) = self.replace(&row) else {
            return;
        };
        match row.state {
            State::Signalled => {
                if let Some(signal) = self.groups[place].server.seamless {
                    self.voice.signal(&row, signal);
                }
            }
            State::Reloaded => {}
            state => {
                if state == State::Denied {
                    self.voice.no_permission(&row);
                }
                self.report(&row);
                self.tallies[place].failed = true;
            }
        }
    }
}
