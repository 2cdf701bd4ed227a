//! One command at work: its servers, what was said, and the tools that act.

use std::collections::{BTreeSet, HashSet};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use swift_records::catalogue::Catalogue;
use swift_records::reason::Reason;
use swift_records::row::{Key, Row, RowId};
use swift_records::state::State;
use swift_server::rundir::RunDir;
use swift_sys::handover;

use crate::act::{Act, Event, Role};
use crate::group::{Group, Place};
use crate::index::Index;
use crate::log::Log;
use crate::options::Options;
use crate::plan;
use crate::plan::Call;
use crate::voice::Voice;
use crate::{environment, report, requests};

/// A command at work.
pub struct Session<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// What is known of servers.
    pub catalogue: &'a Catalogue,
    /// Whether a missing config is an error.
    pub strict: bool,
    /// The servers and their instances; rows are replaced as they change.
    pub groups: Vec<Group>,
    /// What has happened to each group.
    pub tallies: Vec<Tally>,
    /// Standard output.
    pub voice: Voice,
    /// The tools that act.
    pub act: Act,
    /// Whether something failed that no group's tally holds.
    pub failed: bool,
    /// Rows from swift-spawn that came before it was their turn to be told of.
    pub held: Vec<Row>,
    /// Instances that swift-spawn was given.
    pub given: HashSet<Place>,
    /// Instances that were signalled in order to be started again.
    pub restarting: BTreeSet<Place>,
    /// Instances whose output was printed.
    pub printed: HashSet<Key>,
    /// What the system's log is told.
    pub log: Log,
    limit_warnings: Option<Vec<String>>,
    places: Index<Place>,
}

fn row_at(groups: &[Group], (group, number): Place) -> &Row {
    &groups[group].rows[number]
}

/// What has happened to the instances of one group.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Signalled and gone.
    pub ended: usize,
    /// Signalled and still there.
    pub survivors: usize,
    /// Not to be signalled by us.
    pub denied: usize,
    /// Given to swift-signal.
    pub signalled: usize,
    /// Heard of from swift-signal.
    pub answered: usize,
    /// Whether it was said that nothing runs.
    pub said_none: bool,
    /// Whether it was said that the wait is over.
    pub said_waited: bool,
    /// Whether it was said that the program does not exist.
    pub said_missing: bool,
    /// Whether something of it failed.
    pub failed: bool,
}

impl<'a> Session<'a> {
    /// A command that is about to begin.
    pub fn new(
        options: &'a Options,
        catalogue: &'a Catalogue,
        strict: bool,
        groups: Vec<Group>,
        voice: Voice,
    ) -> anyhow::Result<Session<'a>> {
        let mut places = Index::with_capacity(groups.iter().map(|group| group.rows.len()).sum());
        for (place, group) in groups.iter().enumerate() {
            for (number, row) in group.rows.iter().enumerate() {
                places.find_or_enter(row, (place, number), |place| row_at(&groups, place));
            }
        }
        Ok(Session {
            options,
            catalogue,
            strict,
            tallies: vec![Tally::default(); groups.len()],
            groups,
            voice,
            act: Act::new()?,
            failed: false,
            held: Vec::new(),
            given: HashSet::new(),
            restarting: BTreeSet::new(),
            printed: HashSet::new(),
            log: Log::new(catalogue.log),
            limit_warnings: None,
            places,
        })
    }

    /// How many servers run of those that were to.
    pub fn count_up(&self) -> usize {
        let runs = |row: &&Row| {
            let came_up = matches!(row.state, State::Started | State::Ready | State::Reloaded);
            came_up || crate::group::runs(row)
        };
        self.groups
            .iter()
            .flat_map(|g| &g.rows)
            .filter(runs)
            .count()
    }

    /// The end of it.
    pub fn into_voice(self) -> Voice {
        self.voice
    }

    /// Where a row stands that a tool wrote, after it has replaced the one that
    /// the tool was given.
    pub fn replace(&mut self, row: &Row) -> Option<Place> {
        let (group, number) = self.place_of(row.id())?;
        self.groups[group].rows[number] = row.clone();
        self.log.row(
            self.options,
            (group, number),
            &self.groups[group].rows[number],
        );
        Some((group, number))
    }

    /// Where the row of an instance stands.
    pub fn place_of(&self, instance: RowId) -> Option<Place> {
        self.places
            .find(instance, |place| row_at(&self.groups, place))
    }

    /// The next event of the act half. What was said is written first, if
    /// there is nothing else to do. Being asked to end ends the session.
    pub fn next(&mut self) -> anyhow::Result<Option<Event>> {
        self.let_go();
        if !self.act.has_more()? {
            self.let_go();
            self.act.clear_if(!self.voice.is_empty());
            self.voice.flush();
        }
        loop {
            match self.act.next()? {
                Some(Event::Asked(signal)) => return Err(self.interrupt(signal)),
                Some(Event::Lost(key)) => self.lose(&key),
                event => return Ok(event),
            }
        }
    }

    /// Whether an instance runs is not known any more, so nothing is to be
    /// said of it, and nothing done to it.
    fn lose(&mut self, key: &Key) {
        if let Some((group, number)) = self.place_of(key.id()) {
            let row = &mut self.groups[group].rows[number];
            *row = row.clone().with(State::Failed, Reason::Interrupted, b"");
            self.log.row(
                self.options,
                (group, number),
                &self.groups[group].rows[number],
            );
        }
    }

    /// Once every signal was sent that was spoken of, the lines about that are let
    /// go of, and a request to end this process is one more.
    fn let_go(&mut self) {
        if self.act.has_begun(Role::Signal) {
            self.voice.release();
            self.act.ignore_requests(false);
        }
    }

    /// Starts swift-signal when it does not run yet.
    pub fn need_signal(&mut self) -> anyhow::Result<()> {
        let mut call = plan::signal(self.options, self.catalogue);
        call.arg("--announce");
        if !self.options.supervise {
            return self.need(Role::Signal, call, true, &[]);
        }
        // What runs is stopped by the site's file that it was started by.
        let site = handover::note(self.catalogue.site.as_bytes())?;
        call.value("--site-file", "/proc/self/fd/3");
        self.need(Role::Signal, call, true, &[site.as_fd()])
    }

    /// Starts swift-reload when it does not run yet.
    pub fn need_reload(&mut self) -> anyhow::Result<()> {
        let call = plan::reload(self.options);
        self.need(Role::Reload, call, self.options.wait, &[])
    }

    /// Hands an instance to swift-spawn, once: its row as it is to be given.
    pub fn spawn(&mut self, place: Place, row: &Row) -> anyhow::Result<()> {
        if !self.given.insert(place) {
            return Ok(());
        }
        self.need_spawn()?;
        self.act.give(Role::Spawn, row);
        Ok(())
    }

    /// Starts swift-spawn when it does not run yet.
    ///
    /// In a reload of the unit that this process belongs to, the unit's main process takes its part:
    /// what it starts is its own.
    fn need_spawn(&mut self) -> anyhow::Result<()> {
        if self.act.runs(Role::Spawn) {
            return Ok(());
        }
        if let Some(socket) = requests::connect(self.run_dir())? {
            return self.act.connect(Role::Spawn, socket);
        }
        self.raise_limits();
        let mut call = plan::spawn(self.options);
        call.arg("--keep-limits");
        self.need(Role::Spawn, call, self.options.wait, &[])
    }

    /// To be called before anything is stopped that is to be started again: sees
    /// to it that swift-spawn runs and that pid files can be changed at all.
    pub fn before_restarts(&mut self) -> anyhow::Result<()> {
        environment::need_pid_files()?;
        if let Some(run_dir) = RunDir::open(self.run_dir())? {
            drop(run_dir.lock()?);
        }
        self.need_spawn()
    }

    /// Where pid files lie.
    pub fn run_dir(&self) -> &'a Path {
        let run_dir = self.options.run_dir.as_ref();
        run_dir.unwrap_or(&self.catalogue.run_dir)
    }

    /// Starts a tool when it does not run yet. `extra` are its descriptors from 3 on.
    fn need(
        &mut self,
        role: Role,
        mut call: Call,
        waits: bool,
        extra: &[BorrowedFd],
    ) -> anyhow::Result<()> {
        if self.act.runs(role) {
            return Ok(());
        }
        call.arg("--quiet");
        self.act.start(role, &call, waits, extra)
    }

    /// Raises the limits that servers inherit, once.
    pub fn raise_limits(&mut self) {
        if self.limit_warnings.is_none() {
            self.limit_warnings = Some(environment::raise_limits(&self.catalogue.limits));
        }
    }

    /// Says which limits could not be raised, before anything is said of starts.
    pub fn say_limits(&mut self) {
        if self.act.is_connected(Role::Spawn) {
            // What another process starts inherits nothing of this one.
            return;
        }
        self.raise_limits();
        let warnings = self.limit_warnings.replace(Vec::new()).unwrap_or_default();
        warnings.iter().for_each(|warning| self.voice.line(warning));
    }

    /// Says on standard error what went wrong with a row, after what stands on
    /// standard output was written.
    pub fn report(&mut self, row: &Row) {
        self.before_report();
        report::failure(row, self.options.verbose);
    }

    /// Writes what is to stand before a line on standard error.
    pub fn before_report(&mut self) {
        self.act.clear();
        self.voice.flush();
    }
}
