//! One command at work: its rows, its console, and the tools that act.

use std::collections::{BTreeSet, HashSet};

use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_records::state::State;

use crate::actors::{Actors, Role};
use crate::console::{Console, Progress};
use crate::log::Log;
use crate::options::Options;
use crate::table::{RowIndex, Table};

/// A command at work.
pub struct Run<'a> {
    /// The command and its options.
    pub options: &'a Options,
    /// The known servers.
    pub catalogue: &'a Catalogue,
    /// True when a missing config is an error.
    pub strict: bool,
    /// The servers and their rows.
    pub table: Table,
    /// The output for people.
    pub console: Console,
    /// The tools that act.
    pub actors: Actors<'a>,
    /// The system's log.
    pub log: Log<'a>,
    /// Rows from swift-spawn that came before it was their turn to be reported.
    pub deferred: Vec<(RowIndex, Row)>,
    /// Instances that were sent to swift-spawn.
    pub submitted: BTreeSet<RowIndex>,
    /// Instances that were signalled in order to be started again.
    pub restarting: BTreeSet<RowIndex>,
    /// Instances whose output was printed.
    pub printed: HashSet<RowIndex>,
}

impl<'a> Run<'a> {
    /// A command that is about to begin.
    pub fn new(
        options: &'a Options,
        catalogue: &'a Catalogue,
        strict: bool,
        table: Table,
        mut console: Console,
    ) -> anyhow::Result<Run<'a>> {
        console.progress = Progress::new();
        Ok(Run {
            options,
            catalogue,
            strict,
            table,
            console,
            actors: Actors::new(options, catalogue)?,
            log: Log::new(options, catalogue.log),
            deferred: Vec::new(),
            submitted: BTreeSet::new(),
            restarting: BTreeSet::new(),
            printed: HashSet::new(),
        })
    }

    /// Replaces a row by a later one, which the system's log may report.
    pub fn replace(&mut self, at: RowIndex, row: Row) {
        self.log.row(at, &row);
        self.table[at] = row;
    }

    /// Sends an instance that does not run to swift-spawn, once.
    pub fn spawn(&mut self, at: RowIndex) -> anyhow::Result<()> {
        let row = self.table[at].clone().with_state(State::Stopped);
        match self.submitted.insert(at) {
            true => self.actors.send(Role::Spawn, at, &row, false),
            false => Ok(()),
        }
    }

    /// True when something is left that should not be, or could not be inspected.
    pub fn has_failed(&self) -> bool {
        !self.actors.sound || self.table.groups.iter().any(|group| group.tally.failed)
    }
}
