//! The act half: tools that run while this program stands between them, since
//! people are told of each step when it is done.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use swift_cli::text;
use swift_records::row::{Key, Row};
use swift_server::stream::{Input, Next};
use swift_sys::epoll::{Epoll, min_deadline};
use swift_sys::failpoint;
use swift_sys::fd;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;

use crate::actor::{Actor, Awaited, Channel};
use crate::init::REQUESTS;
use crate::options::TOOL;
use crate::plan::Call;
use crate::progress::Progress;
use crate::report;
use crate::stage::{self, Stage};
use crate::systemd::Systemd;

/// The part that a tool plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// swift-signal.
    Signal = 1,
    /// swift-reload.
    Reload = 2,
    /// swift-spawn.
    Spawn = 3,
}

/// The watch's token for signals to this process; the others are roles.
const INBOX: u64 = 0;

/// The first of the tokens that the caller watches by itself.
pub const OTHERS: u64 = 16;

/// What happened.
pub enum Event {
    /// A tool wrote a row.
    Row(Role, Row),
    /// A tool has ended without a word of what became of this instance.
    Lost(Key),
    /// A tool has ended, and all its rows were seen.
    End(Role),
    /// This process was asked to end.
    Asked(Signal),
    /// Something has come on a descriptor that the caller watches by itself.
    Other,
}

/// The tools that act.
pub struct Act {
    epoll: Epoll,
    signals: SignalFd,
    actors: HashMap<Role, Actor>,
    ready: VecDeque<Event>,
    progress: Progress,
    /// What systemd is told while this process waits.
    pub systemd: Systemd,
    /// Whether every tool has done its duty.
    pub sound: bool,
    /// A tool was asked to begin nothing more, and may have ended of it.
    halted: bool,
    /// Requests to end this process are the same as one that is obeyed already.
    ignores_requests: bool,
}

impl Act {
    /// No tool yet. From here on, requests to end come as events.
    pub fn new() -> anyhow::Result<Act> {
        let signals = SignalFd::new(&REQUESTS)?;
        let epoll = Epoll::new()?;
        epoll.add(&signals, INBOX)?;
        let (actors, ready) = (HashMap::new(), VecDeque::new());
        Ok(Act {
            epoll,
            signals,
            actors,
            ready,
            progress: Progress::new(),
            systemd: Systemd::from_env(),
            sound: true,
            halted: false,
            ignores_requests: false,
        })
    }

    /// Starts a tool. `waits` says whether it brings each row to an end, or
    /// only begins it.
    pub fn start(
        &mut self,
        role: Role,
        call: &Call,
        waits: bool,
        extra: &[BorrowedFd],
    ) -> anyhow::Result<()> {
        let (read, write) = fd::pipe()?;
        let (stage, output) = stage::start(call, Some(read), extra)?;
        let to = Channel::thread(write, call.name)?;
        let input = Input::new(output);
        input.watch(&self.epoll, role as u64)?;
        let actor = Actor {
            stage: Some(stage),
            to,
            input,
            waits,
            awaited: HashMap::new(),
            given: 0,
        };
        self.actors.insert(role, actor);
        failpoint::at("tool-started");
        Ok(())
    }

    /// Has the process at the other end of a socket take the part of a tool.
    pub fn connect(&mut self, role: Role, socket: OwnedFd) -> anyhow::Result<()> {
        let input = Input::new(fd::duplicate(&socket)?);
        input.watch(&self.epoll, role as u64)?;
        let actor = Actor {
            stage: None,
            to: Channel::Socket(socket),
            input,
            waits: true,
            awaited: HashMap::new(),
            given: 0,
        };
        self.actors.insert(role, actor);
        Ok(())
    }

    /// Tells the main process of the unit of an instance that is about to be ended in order to be
    /// started again. Any other tool need not know.
    pub fn announce(&self, role: Role, row: &Row) {
        if let Some(actor) = self.actors.get(&role).filter(|_| self.is_connected(role)) {
            actor.to.send(row);
        }
    }

    /// True when a tool's part is taken by the main process of the unit.
    pub fn is_connected(&self, role: Role) -> bool {
        let actor = self.actors.get(&role);
        actor.is_some_and(|actor| actor.stage.is_none())
    }

    /// Watches a descriptor of the caller's. `token` is [`OTHERS`] or more.
    pub fn watch(&self, fd: &impl AsFd, token: u64) -> anyhow::Result<()> {
        Ok(self.epoll.add(fd, token)?)
    }

    /// No longer watches it.
    pub fn unwatch(&self, fd: &impl AsFd) -> anyhow::Result<()> {
        Ok(self.epoll.remove(fd)?)
    }

    /// Hands a row to a tool that brings it to an end, or only begins it, as it
    /// was started for.
    pub fn give(&mut self, role: Role, row: &Row) {
        self.hand_over(role, row, false);
    }

    /// Hands a row to a tool of which nothing is heard after it has begun: the
    /// server says nothing of its end.
    pub fn give_to_begin(&mut self, role: Role, row: &Row) {
        self.hand_over(role, row, true);
    }

    fn hand_over(&mut self, role: Role, row: &Row, begun_only: bool) {
        let actor = self.actors.get_mut(&role).expect("the tool was started");
        let number = actor.given;
        actor.given += 1;
        // The number of what is to be started is not known yet; the pid file may
        // have held another.
        let pid = row.pid.filter(|_| role != Role::Spawn);
        let awaited = Awaited {
            number,
            pid,
            begun_only,
            begun: false,
        };
        actor.awaited.insert(row.key(), awaited);
        actor.to.send(row);
        failpoint::at("row-given");
    }

    /// No more rows come for a tool.
    pub fn close(&mut self, role: Role) {
        if let Some(actor) = self.actors.get_mut(&role) {
            actor.to.close();
        }
    }

    /// Whether a tool still runs.
    pub fn runs(&self, role: Role) -> bool {
        self.actors.contains_key(&role)
    }

    /// Whether a tool has begun, or ended, all that it was given, or is gone.
    pub fn has_begun(&self, role: Role) -> bool {
        let begun = |actor: &Actor| actor.awaited.values().all(|one| one.begun);
        self.actors.get(&role).is_none_or(begun)
    }

    /// Has a tool begin nothing more, and waits until it has told what has become
    /// of all that it was given: begun, or not. What tools told meanwhile comes
    /// back. Another request to end this process is the same as the one that is
    /// the cause of this.
    pub fn halt(&mut self, role: Role) -> anyhow::Result<Vec<(Role, Row)>> {
        let mut told = Vec::new();
        if let Some(actor) = self.actors.get_mut(&role) {
            actor.halt()?;
            self.halted = true;
        }
        while !self.has_begun(role) {
            match self.next()? {
                Some(Event::Row(role, row)) => told.push((role, row)),
                Some(_) => {}
                None => break,
            }
        }
        Ok(told)
    }

    /// Whether requests to end this process are to be ignored from now on.
    pub fn ignore_requests(&mut self, ignore: bool) {
        self.ignores_requests = ignore;
    }

    /// Nothing more is expected to be heard of what the tools were given: what
    /// became of it is known from elsewhere.
    pub fn forget_awaited(&mut self) {
        self.actors.values_mut().for_each(|a| a.awaited.clear());
    }

    /// No line about what is awaited: the terminal belongs to the servers.
    pub fn leave_terminal(&mut self) {
        self.progress.disable();
    }

    /// Takes the line about what is awaited away, before anything is said.
    pub fn clear(&mut self) {
        self.progress.clear();
    }

    /// The same, when it is true that something is about to be said.
    pub fn clear_if(&mut self, something: bool) {
        if something {
            self.progress.clear();
        }
    }

    /// The next event; none when all tools have ended.
    pub fn next(&mut self) -> anyhow::Result<Option<Event>> {
        self.next_before(None)
    }

    /// The next event; none when all tools have ended, or at the deadline.
    pub fn next_before(&mut self, deadline: Option<Instant>) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if self.actors.is_empty() || is_late {
                return Ok(None);
            }
            self.wait(deadline)?;
        }
    }

    /// Whether the next event has come already.
    pub fn has_more(&mut self) -> anyhow::Result<bool> {
        if self.ready.is_empty() && !self.actors.is_empty() {
            self.wait(Some(Instant::now()))?;
        }
        Ok(!self.ready.is_empty())
    }

    fn wait(&mut self, deadline: Option<Instant>) -> anyhow::Result<()> {
        self.systemd.beat();
        let deadline = min_deadline(deadline, self.progress.deadline());
        let deadline = min_deadline(deadline, self.systemd.next_beat());
        let tokens = self.epoll.wait(deadline)?;
        // A request that came before a word of a tool is known before it.
        if tokens.contains(&INBOX) {
            self.is_asked()?;
        }
        for token in tokens.into_iter().filter(|token| *token != INBOX) {
            match token {
                OTHERS.. => self.ready.push_back(Event::Other),
                role => self.hear(role)?,
            }
        }
        if self.progress.is_due() {
            let awaited = self.actors.values().flat_map(Actor::in_order);
            self.progress.draw(awaited.map(|(key, one)| {
                let name = text::one_line(key.server().as_bytes());
                match one.pid {
                    Some(pid) => format!("{name} ({pid})"),
                    None => name,
                }
            }));
        }
        Ok(())
    }

    /// Whether this process was asked to end, and has not yet told of it.
    fn is_asked(&mut self) -> anyhow::Result<bool> {
        while let Some(signal) = self.signals.take()? {
            if !self.ignores_requests {
                self.ready.push_back(Event::Asked(signal));
            }
        }
        Ok(self.ready.iter().any(|e| matches!(e, Event::Asked(_))))
    }

    /// Reads what a tool wrote.
    fn hear(&mut self, token: u64) -> anyhow::Result<()> {
        let roles = [Role::Signal, Role::Reload, Role::Spawn];
        let role = roles
            .into_iter()
            .find(|r| *r as u64 == token)
            .expect("a token is a role");
        let Some(actor) = self.actors.get_mut(&role) else {
            return Ok(());
        };
        actor.input.fill()?;
        loop {
            match actor.input.next_row() {
                Next::Row(row) => {
                    actor.answered(&row);
                    failpoint::at("row-heard");
                    self.ready.push_back(Event::Row(role, *row));
                }
                Next::Bad(bad) => {
                    TOOL.say(&format!("{}: {bad}", actor.name()));
                    self.sound = false;
                }
                Next::Wait => return Ok(()),
                Next::End => break,
            }
        }
        let actor = self.actors.remove(&role).expect("it was there just now");
        actor.input.unwatch(&self.epoll);
        self.progress.clear();
        // A terminal that goes asks all of its processes to end, and the tool
        // did: that is no failure of its own.
        if !self.is_asked()? && !self.halted {
            let name = actor.name();
            let lost: Vec<Key> = actor.in_order().map(|(key, _)| key.clone()).collect();
            self.sound &= actor.stage.is_none_or(Stage::finish);
            for key in lost {
                let who = report::name(key.server(), key.config());
                TOOL.say(&format!("{who}: {name} ended without reporting a result"));
                self.sound = false;
                self.ready.push_back(Event::Lost(key));
            }
        }
        self.ready.push_back(Event::End(role));
        Ok(())
    }
}
