//! From the options to the exit status: start as rows come in, and await all
//! that was started together.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::time::Instant;

use shared::catalogue::Catalogue;
use shared::cli::Exit;
use shared::faults;
use shared::instance;
use shared::reason::Reason;
use shared::row::Row;
use shared::signals::Signal;
use shared::state::State;
use shared::stream::{self, ActOutput, BadLine, Input, Next};
use shared::sys::error::reason_of;
use shared::sys::limits;
use shared::sys::signals::{Inbox, die_of};
use shared::timers::Timers;
use shared::watch::{Watch, earlier};

use crate::begun::{self, Begun, Patience, Step, TOKENS};
use crate::environment;
use crate::failure::{Failure, in_words};
use crate::options::{Options, Stdio, TOOL};
use crate::start::{Outcome, Starter};

/// The watch's tokens for standard input and for signals. Servers have
/// [`TOKENS`] each, from that number on.
const STDIN: u64 = 0;
const SIGNALS: u64 = 1;

/// Descriptors that are kept free for all else: the caller's, files, the lock.
const RESERVE: u64 = 64;

/// Descriptors that an awaited server takes: its process and its output.
const EACH: u64 = 2;

struct Run {
    options: Options,
    catalogue: Catalogue,
    starter: Starter,
    watch: Watch,
    inbox: Inbox,
    begun: HashMap<u64, Begun>,
    timers: Timers,
    next_token: u64,
    at_once: usize,
    limits_raised: bool,
    output: ActOutput<File>,
    /// Nothing more is to be begun.
    interrupted: bool,
    /// Nothing more is to be awaited.
    given_up: bool,
    exit: Exit,
    /// Whether it was said that nobody has looked at the rows.
    said_unlooked: bool,
}

/// Does the tool's job.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let starter = Starter::new(&options)?;
    let watch = Watch::new()?;
    let inbox = Inbox::new(&[Signal::TERM, Signal::INT, Signal::HUP])?;
    watch.add(&inbox, SIGNALS)?;
    let mut run = Run {
        limits_raised: options.keep_limits,
        at_once: places()?,
        options,
        catalogue,
        starter,
        watch,
        inbox,
        begun: HashMap::new(),
        timers: Timers::default(),
        next_token: TOKENS,
        output: ActOutput::new(stream::stdout()?, &TOOL),
        interrupted: false,
        given_up: false,
        exit: Exit::Ok,
        said_unlooked: false,
    };
    run.all()?;
    let stopped = if run.stopping() {
        Exit::Failed
    } else {
        Exit::Ok
    };
    Ok(run.exit.and(stopped))
}

/// How many servers can be awaited at a time.
fn places() -> io::Result<usize> {
    let free = limits::descriptors()?.saturating_sub(RESERVE);
    Ok(usize::try_from(free / EACH).unwrap_or(usize::MAX).max(1))
}

impl Run {
    fn stopping(&self) -> bool {
        self.interrupted || self.output.is_lost()
    }

    fn all(&mut self) -> anyhow::Result<()> {
        let mut input = Input::stdin()?;
        // Files cannot be watched, and are always ready.
        let watchable = input.watch(&self.watch, STDIN)?;
        let mut watched = watchable;
        let (mut reading, mut more) = (true, false);
        loop {
            while reading && !self.output.is_lost() && self.has_place() {
                match input.next_row() {
                    Next::Row(row) => more = self.take(*row, input.line()),
                    Next::Bad(bad) => self.exit = self.exit.and(stream::bad_line(&TOOL, &bad)),
                    Next::Wait if !watchable => {
                        self.exit = self.exit.and(input.fill_or_say(&TOOL, &mut reading));
                    }
                    Next::Wait => break,
                    Next::End => reading = false,
                }
                // What runs is heard between two starts.
                if more {
                    break;
                }
            }
            reading &= !self.output.is_lost();
            self.output.flush();
            let idle = self.begun.is_empty();
            if self.given_up || (!reading && idle) {
                return Ok(());
            }
            if reading && !self.has_place() {
                faults::at("full");
            }
            if watchable && watched != (reading && self.has_place()) {
                watched = !watched;
                if watched {
                    input.watch(&self.watch, STDIN)?;
                } else {
                    input.unwatch(&self.watch);
                }
            }
            // Of an input that may have no end, only what is there is answered
            // once nothing more is to be begun.
            let last_look = self.stopping() && idle;
            let now = (std::mem::take(&mut more) || last_look).then(Instant::now);
            let tokens = self.watch.wait(earlier(now, self.timers.first()))?;
            if last_look && tokens.is_empty() {
                return Ok(());
            }
            for token in tokens {
                match token {
                    STDIN => {
                        self.starter.locks.forget();
                        self.exit = self.exit.and(input.fill_or_say(&TOOL, &mut reading));
                    }
                    SIGNALS => self.obey()?,
                    token => self.hear(token),
                }
            }
            self.look_at_the_time();
        }
    }

    /// Whether one more row can be taken. Without a start it needs no place.
    fn has_place(&self) -> bool {
        self.stopping() || self.begun.len() < self.at_once
    }

    /// Takes in the signals that have come.
    fn obey(&mut self) -> anyhow::Result<()> {
        while let Some(signal) = self.inbox.take()? {
            match signal {
                // The caller stops the servers itself.
                Signal::TERM if self.options.leaves_stop_to_caller() => self.given_up = true,
                // Whoever presses Ctrl-C twice does not want to wait.
                Signal::INT if self.interrupted && !self.options.leaves_stop_to_caller() => {
                    return Err(die_of(Signal::INT).into());
                }
                _ => {}
            }
            self.interrupted = true;
        }
        if !self.options.leaves_stop_to_caller() {
            // A pass may take hours.
            for id in self.begun.keys().copied().collect::<Vec<_>>() {
                let step = self.begun.get_mut(&id).map_or(Step::Wait, Begun::hurry);
                self.go_on(id, Ok(step));
            }
        }
        Ok(())
    }

    /// Acts on a row if it is one to act on; `true` when that took a while.
    fn take(&mut self, row: Row, line: u64) -> bool {
        if row.state != State::Stopped || row.is_orphan() {
            self.exit = self
                .exit
                .and(stream::pass_on(&TOOL, &row, &mut self.said_unlooked));
            self.output.put(&row);
            return false;
        }
        if self.stopping() {
            let failure = Failure::new(Reason::Interrupted, "").saying("interrupted".into());
            self.fail(failure.of(row));
            return false;
        }
        let server = self.catalogue.server(&row.server);
        let place = match instance::place(&server, &row) {
            Ok(place) => place,
            Err(what) => {
                let bad = stream::bad_line(&TOOL, &BadLine { line, what });
                self.exit = self.exit.and(bad);
                return false;
            }
        };
        if !std::mem::replace(&mut self.limits_raised, true) {
            for warning in environment::raise_limits(&self.catalogue.limits) {
                TOOL.say(&warning);
            }
            self.at_once = places().unwrap_or(self.at_once);
        }
        // The start may have to wait for the lock.
        self.output.flush();
        match self.starter.start(row, &server, &place) {
            Outcome::Found(row) => self.output.put(&row),
            Outcome::WrongConfig(row, what) => {
                let message = format!("cannot start beside {what}");
                self.fail((row, message));
            }
            Outcome::Failed(row, failure) => self.fail(failure.of(row)),
            Outcome::Started(row, process, output) => {
                self.output.put(&row);
                if self.options.stdio == Stdio::Null {
                    return true;
                }
                let patience = Patience {
                    to_the_end: self.options.foreground() || (self.options.once && server.once),
                    supervise: self.options.supervise,
                    start_timeout: self.options.start_timeout,
                    kill_wait: self.catalogue.kill_wait,
                };
                let token = self.next_token;
                self.next_token += TOKENS;
                let subject = (row, server, place);
                let begun = Begun::new(subject, process, output, patience, (&self.watch, token));
                match begun {
                    Ok(begun) => {
                        self.timers.set(token, begun.until());
                        self.begun.insert(token, begun);
                    }
                    Err(e) => self.trouble(&e),
                }
            }
        }
        true
    }

    /// Something has happened to a server.
    fn hear(&mut self, token: u64) {
        let id = token - token % TOKENS;
        let Some(begun) = self.begun.get_mut(&id) else {
            return;
        };
        let step = match token - id {
            0 => begun.hear(&self.watch),
            1 => begun.end(&self.watch),
            _ => begun.strays_ended(&self.watch),
        };
        self.go_on(id, step);
    }

    fn look_at_the_time(&mut self) {
        for id in self.timers.due(Instant::now()) {
            if let Some(begun) = self.begun.get_mut(&id) {
                let step = begun.time_is_up(&self.watch);
                self.go_on(id, step);
            }
        }
    }

    fn go_on(&mut self, id: u64, step: io::Result<Step>) {
        self.follow(id, step);
        let until = self.begun.get(&id).and_then(Begun::until);
        self.timers.set(id, until);
    }

    /// Does what a step says.
    fn follow(&mut self, id: u64, step: io::Result<Step>) {
        match step {
            Ok(Step::Wait) => {}
            Ok(Step::Row(row)) => self.output.put(&row),
            Ok(Step::Done) => drop(self.begun.remove(&id)),
            Ok(Step::Lingers(row, Some(message))) => self.fail((row, message)),
            Ok(Step::Lingers(row, None)) => self.output.put(&row),
            Ok(Step::Last(row, failure)) => {
                self.begun.remove(&id);
                match failure {
                    Some(message) => self.fail((row, message)),
                    None => self.output.put(&row),
                }
            }
            Ok(Step::Remove(failure)) => {
                faults::at("ended");
                // The lock may have to be waited for.
                self.output.flush();
                let Some(begun) = self.begun.remove(&id) else {
                    return;
                };
                let (row, server, place) = begun.subject();
                if let Err(e) = begun::remove_pid_file(row, server, place, &self.starter.locks) {
                    let path = row.pidfile.as_deref().unwrap_or(place.beneath.as_path());
                    TOOL.say(&format!(
                        "cannot remove {}: {}",
                        path.display(),
                        in_words(&e)
                    ));
                }
                self.fail(failure.of(row.clone()));
            }
            Err(e) => {
                self.begun.remove(&id);
                self.trouble(&e);
            }
        }
    }

    /// A failing system call that should not: the others are awaited further.
    fn trouble(&mut self, error: &io::Error) {
        TOOL.say(&format!("cannot wait for a server: {}", reason_of(error)));
        self.exit = self.exit.and(Exit::Failed);
    }

    fn fail(&mut self, (row, message): (Row, String)) {
        self.exit = self.exit.and(Exit::Failed);
        if !self.options.quiet {
            TOOL.say(&message);
        }
        self.output.put(&row);
    }
}
