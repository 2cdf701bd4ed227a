//! Starting, and the second half of restarting.

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;

use crate::act::{Event, Role};
use crate::group::{self, Group, Place};
use crate::options::Command;
use crate::session::Session;
use crate::status;

impl Session<'_> {
    /// Starts what does not run. Whether there was something to start of each
    /// server, where that matters, and all that was started came up.
    pub fn start(&mut self) -> anyhow::Result<bool> {
        self.start_all(true)
    }

    /// Announces what will be started, has it done, and tells what became of
    /// it. `look` says whether this is the first that is told of these rows.
    pub fn start_all(&mut self, look: bool) -> anyhow::Result<bool> {
        let starting = self.announce_starts(look)?;
        for place in starting {
            self.spawn(place, &self.to_start(place))?;
        }
        self.finish_starts()
    }

    /// Tells what became of all that swift-spawn was given.
    pub fn finish_starts(&mut self) -> anyhow::Result<bool> {
        self.act.close(Role::Spawn);
        for row in std::mem::take(&mut self.held) {
            self.spawned(row);
        }
        while let Some(event) = self.next()? {
            if let Event::Row(Role::Spawn, row) = event {
                self.spawned(row);
            }
        }
        Ok(!self.has_failed())
    }

    /// Says what will be started, what runs already and what cannot be found,
    /// server by server, and returns where what is to be started stands.
    pub fn announce_starts(&mut self, look: bool) -> anyhow::Result<Vec<Place>> {
        self.say_limits();
        let mut starting = Vec::new();
        for place in 0..self.groups.len() {
            let numbers = self.announce_one(place, look);
            if numbers.is_empty() && self.strict && !left_alone(&self.groups[place]) {
                self.tallies[place].failed = true;
            }
            starting.extend(numbers.into_iter().map(|number| (place, number)));
        }
        Ok(starting)
    }

    fn announce_one(&mut self, place: usize, look: bool) -> Vec<usize> {
        status::configs(self.options, &self.groups[place], &mut self.voice);
        if self.groups[place].configured().next().is_none() {
            return Vec::new();
        }
        // What is said of them changes none, so they need not be copied.
        let rows = std::mem::take(&mut self.groups[place].rows);
        for row in rows.iter().filter(|_| look) {
            self.voice.removed(row, self.options.verbose);
            self.untidy(place, row);
            match row.state {
                State::Denied => {
                    self.voice.no_permission(row);
                    self.tallies[place].denied += 1;
                }
                State::WrongConfig => {
                    self.report(row);
                    self.tallies[place].failed = true;
                }
                _ => {}
            }
        }
        let mut running = false;
        for row in rows.iter().filter(|row| group::runs(row) && !told_of(row)) {
            running = true;
            self.say_running(row);
        }
        let is_down = |row: &Row| row.state == State::Killed || group::may_be_started(row);
        let starting: Vec<usize> = (0..rows.len()).filter(|n| is_down(&rows[*n])).collect();
        if running && starting.is_empty() {
            self.voice.line(&format!(
                "{} already started...",
                self.groups[place].server.name
            ));
        }
        for number in &starting {
            self.say_starting(place, &rows[*number]);
        }
        self.groups[place].rows = rows;
        starting
    }

    /// The row of what is to be started, as swift-spawn is given it.
    pub fn to_start(&self, (place, number): Place) -> Row {
        let row = self.groups[place].rows[number].clone();
        match row.state {
            State::Killed => row.with_state(State::Stopped),
            _ => row,
        }
    }

    /// Says that an instance is started.
    pub fn say_starting(&mut self, place: usize, row: &Row) {
        let server = &self.groups[place].server;
        let config = row.config.as_deref().unwrap_or("".as_ref()).display();
        self.voice.line(&if self.options.once && server.once {
            format!("Running {} once...({config})", server.name)
        } else {
            format!("Starting {}...({config})", server.name)
        });
    }

    /// Says that an instance runs; of one whose config is gone, its pid file is
    /// named instead.
    fn say_running(&mut self, row: &Row) {
        if !row.is_orphan() {
            self.voice.running(row);
        } else if self.options.number.is_none() {
            let named = Row {
                config: row.pidfile.clone(),
                ..row.clone()
            };
            self.voice.running(&named);
        }
    }

    /// Tells what became of an instance that was to be started.
    pub fn spawned(&mut self, row: Row) {
        let Some((place, _)) = self.replace(&row) else {
            return;
        };
        match (row.state, row.reason()) {
            (State::Started, _) => {}
            (State::Ready | State::Finished, reason) => {
                if reason == Some(Reason::Output) {
                    self.print(&row);
                }
                let once = self.options.once && self.groups[place].server.once;
                if row.state == State::Finished && self.options.daemon && !once {
                    self.report(&row);
                }
            }
            (State::Failed, Some(Reason::ExecMissing)) => {
                if !std::mem::replace(&mut self.tallies[place].said_missing, true) {
                    let command = &self.groups[place].server.command;
                    self.voice.line(&format!("{command} does not exist"));
                }
                self.report(&row);
                self.tallies[place].failed |= self.strict;
            }
            (State::Failed, reason) => {
                if matches!(
                    reason,
                    Some(Reason::Exit(_) | Reason::Signal(_) | Reason::Timeout)
                ) {
                    self.print(&row);
                }
                self.report(&row);
                self.tallies[place].failed = true;
            }
            (State::Running | State::Starting, _) => {
                self.voice.running(&row);
                if !self.groups[place].rows.iter().any(is_ours) {
                    self.voice
                        .line(&format!("{} already started...", row.server));
                    // A restart is content with what somebody else has started.
                    self.tallies[place].failed |= self.strict && self.only_starts();
                }
            }
            _ => {
                self.report(&row);
                self.tallies[place].failed = true;
            }
        }
    }

    /// Whether nothing was stopped before.
    fn only_starts(&self) -> bool {
        matches!(
            self.options.command,
            Command::Start | Command::Once | Command::NoWait | Command::NoDaemon
        )
    }

    /// Prints what a server printed, once.
    fn print(&mut self, row: &Row) {
        if !row.text().is_empty() && self.printed.insert(row.key()) {
            self.voice.output(row.text());
        }
    }
}

/// Whether it was said of an instance why nothing is done to it.
fn told_of(row: &Row) -> bool {
    matches!(row.state, State::Misconfigured | State::Owned)
}

/// Whether an instance is yet to be started, or was started by this command.
fn is_ours(row: &Row) -> bool {
    matches!(
        row.state,
        State::Started | State::Ready | State::Finished | State::Failed | State::Killed
    ) || group::may_be_started(row)
}

/// Whether a server was left alone on purpose, and told of already.
pub fn left_alone(group: &Group) -> bool {
    let alone = |row: &Row| told_of(row) || matches!(row.state, State::Denied | State::WrongConfig);
    !group.rows.is_empty() && group.rows.iter().all(alone)
}
