//! The act half: tools that run while this program stands between them, since
//! people are told of each step when it is done.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::sync::mpsc;
use std::time::Instant;

use anyhow::Context as _;
use shared::faults;
use shared::process::Pid;
use shared::row::{Key, Row};
use shared::signals::Signal;
use shared::state::State;
use shared::stream::{Input, Next};
use shared::sys::fd;
use shared::sys::signals::Inbox;
use shared::text;
use shared::watch::{Watch, earlier};

use crate::options::TOOL;
use crate::progress::Progress;
use crate::report;
use crate::stage::{self, Call, Stage};

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

/// What asks this process to end.
pub const REQUESTS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// The watch's token for signals to this process; the others are roles.
const INBOX: u64 = 0;

/// So many bytes are written to a tool at a time, as much as a pipe holds.
const MOST: usize = 1 << 16;

/// The stack of the thread that writes to a tool, in bytes: it calls little, and
/// is to be had where memory is short (RLIMIT_AS).
const WRITER_STACK: usize = 1 << 16;

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
}

/// The tools that act.
pub struct Act {
    watch: Watch,
    inbox: Inbox,
    actors: HashMap<Role, Actor>,
    ready: VecDeque<Event>,
    progress: Progress,
    /// Whether every tool has done its duty.
    pub sound: bool,
    /// A tool was asked to begin nothing more, and may have ended of it.
    halted: bool,
    /// Requests to end this process are the same as one that is obeyed already.
    ignores_requests: bool,
}

struct Actor {
    stage: Stage,
    to: Option<mpsc::Sender<Box<[u8]>>>,
    input: Input,
    waits: bool,
    awaited: HashMap<Key, Awaited>,
    /// How many rows it was given.
    given: u64,
}

/// An instance of which a tool has not yet said the last word.
struct Awaited {
    /// Which of those that the tool was given.
    number: u64,
    /// Its process, where that is known.
    pid: Option<Pid>,
    /// Whether the tool only begins this one, whatever it does with others.
    begun_only: bool,
    /// Whether the tool has said that it has begun: sent the signal, or started
    /// the process.
    begun: bool,
}

impl Act {
    /// No tool yet. From here on, requests to end come as events.
    pub fn new() -> anyhow::Result<Act> {
        let inbox = Inbox::new(&REQUESTS)?;
        let watch = Watch::new()?;
        watch.add(&inbox, INBOX)?;
        let (actors, ready) = (HashMap::new(), VecDeque::new());
        Ok(Act {
            watch,
            inbox,
            actors,
            ready,
            progress: Progress::new(),
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
        let (to, rows) = mpsc::channel::<Box<[u8]>>();
        // A thread writes, so that a tool which is busy never keeps this one
        // from reading what it has to say.
        let thread = std::thread::Builder::new().stack_size(WRITER_STACK);
        let writes = thread.spawn(move || {
            let mut pipe = File::from(write);
            // When the tool is gone, its end says so; nothing is to be done here.
            while let Ok(row) = rows.recv() {
                let mut bytes = row.into_vec();
                // All that waits goes in one write, so that the tool need not
                // be woken for each row.
                while let Some(more) = (bytes.len() < MOST).then(|| rows.try_recv().ok()).flatten()
                {
                    bytes.extend(more);
                }
                if pipe.write_all(&bytes).is_err() {
                    break;
                }
            }
        });
        writes.with_context(|| format!("cannot start a thread for {}", call.name))?;
        let input = Input::new(output);
        input.watch(&self.watch, role as u64)?;
        let actor = Actor {
            stage,
            to: Some(to),
            input,
            waits,
            awaited: HashMap::new(),
            given: 0,
        };
        self.actors.insert(role, actor);
        faults::at("tool-started");
        Ok(())
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
        let mut line = Vec::new();
        row.write(&mut line);
        if let Some(to) = &actor.to {
            // It fails only when the writing thread has seen the tool's end.
            let _ = to.send(line.into_boxed_slice());
            faults::at("row-given");
        }
    }

    /// No more rows come for a tool.
    pub fn close(&mut self, role: Role) {
        if let Some(actor) = self.actors.get_mut(&role) {
            actor.to = None;
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
        if let Some(actor) = self.actors.get(&role) {
            actor.stage.halt()?;
            self.halted = true;
        }
        while !self.has_begun(role) {
            match self.next()? {
                Some(Event::Row(role, row)) => told.push((role, row)),
                Some(Event::Asked(_) | Event::Lost(_) | Event::End(_)) => {}
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
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.actors.is_empty() {
                return Ok(None);
            }
            self.wait(None)?;
        }
    }

    /// Whether the next event has come already.
    pub fn has_more(&mut self) -> anyhow::Result<bool> {
        if self.ready.is_empty() && !self.actors.is_empty() {
            self.wait(Some(Instant::now()))?;
        }
        Ok(!self.ready.is_empty())
    }

    fn wait(&mut self, until: Option<Instant>) -> anyhow::Result<()> {
        let until = earlier(until, self.progress.until());
        let tokens = self.watch.wait(until)?;
        // A request that came before a word of a tool is known before it.
        if tokens.contains(&INBOX) {
            self.is_asked()?;
        }
        for token in tokens.into_iter().filter(|token| *token != INBOX) {
            self.hear(token)?;
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
        while let Some(signal) = self.inbox.take()? {
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
                    faults::at("row-heard");
                    self.ready.push_back(Event::Row(role, *row));
                }
                Next::Bad(bad) => {
                    TOOL.say(&format!("{}: {bad}", actor.stage.name));
                    self.sound = false;
                }
                Next::Wait => return Ok(()),
                Next::End => break,
            }
        }
        let actor = self.actors.remove(&role).expect("it was there just now");
        actor.input.unwatch(&self.watch);
        self.progress.clear();
        // A terminal that goes asks all of its processes to end, and the tool
        // did: that is no failure of its own.
        if !self.is_asked()? && !self.halted {
            let name = actor.stage.name;
            let lost: Vec<Key> = actor.in_order().map(|(key, _)| key.clone()).collect();
            self.sound &= actor.stage.finish();
            for key in lost {
                let who = report::name(key.server(), key.config());
                TOOL.say(&format!("{who}: {name} gave no word of it"));
                self.sound = false;
                self.ready.push_back(Event::Lost(key));
            }
        }
        self.ready.push_back(Event::End(role));
        Ok(())
    }
}

impl Actor {
    /// What is awaited, in the order in which the tool was given it.
    fn in_order(&self) -> impl Iterator<Item = (&Key, &Awaited)> {
        let mut all: Vec<_> = self.awaited.iter().collect();
        all.sort_by_key(|(_, one)| one.number);
        all.into_iter()
    }

    /// Takes a row off the list of those that are awaited, when it is the last
    /// word on it.
    fn answered(&mut self, row: &Row) {
        let Some(awaited) = self.awaited.get_mut(&row.key()) else {
            return;
        };
        let begun = matches!(row.state, State::Signalled | State::Started);
        if begun && self.waits && !awaited.begun_only {
            awaited.pid = row.pid;
            awaited.begun = true;
        } else {
            self.awaited.remove(&row.key());
        }
    }
}
