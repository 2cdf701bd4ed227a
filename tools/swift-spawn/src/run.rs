//! From the options to the exit status: start as rows come in, and await all
//! that was started together.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::instance;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, Token};
use swift_server::stream::BadLine;
use swift_server::timers::Timers;
use swift_sys::epoll::Epoll;
use swift_sys::error::reason_of;
use swift_sys::failpoint;
use swift_sys::limits;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::{SignalFd, die_of};

use crate::begun::{self, Begun, Patience, Step};
use crate::environment;
use crate::failure::Failure;
use crate::options::{Options, Stdio, TOOL};
use crate::start::{Outcome, Starter};

/// The watch's token for signals. Servers are the subjects after it.
const SIGNALS: Token = Token {
    subject: 1,
    part: 0,
};

/// Descriptors that are kept free for all else: the caller's, files, the lock.
const RESERVE: u64 = 64;

/// Descriptors that an awaited server takes: its process and its output.
const EACH: u64 = 2;

struct Run {
    options: Options,
    catalogue: Catalogue,
    starter: Starter,
    epoll: Rc<Epoll>,
    signals: SignalFd,
    begun: HashMap<u64, Begun>,
    timers: Timers,
    last: u64,
    at_once: usize,
    limits_raised: bool,
    report: Report,
    /// Nothing more is to be begun.
    interrupted: bool,
    /// Nothing more is to be awaited.
    given_up: bool,
}

/// Does the tool's job.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let starter = Starter::new(&options)?;
    let epoll = Rc::new(Epoll::new()?);
    let signals = SignalFd::new(&[Signal::TERM, Signal::INT, Signal::HUP])?;
    epoll.add(&signals, SIGNALS.into())?;
    let mut run = Run {
        limits_raised: options.keep_limits,
        at_once: places()?,
        report: Report::new(&TOOL, options.quiet)?,
        options,
        catalogue,
        starter,
        epoll: epoll.clone(),
        signals,
        begun: HashMap::new(),
        timers: Timers::default(),
        last: SIGNALS.subject,
        interrupted: false,
        given_up: false,
    };
    actor::run(&mut run, &epoll)?;
    if run.interrupted {
        run.report.failed();
    }
    Ok(run.report.exit())
}

/// How many servers can be awaited at a time.
fn places() -> io::Result<usize> {
    let free = limits::descriptors()?.saturating_sub(RESERVE);
    Ok(usize::try_from(free / EACH).unwrap_or(usize::MAX).max(1))
}

impl Actor for Run {
    fn row(&mut self, row: Row, line: u64) -> anyhow::Result<Pace> {
        // Events are looked at between two starts.
        Ok(match self.take(row, line) {
            true => Pace::Slow,
            false => Pace::Quick,
        })
    }

    fn before_wait(&mut self, reading: bool) -> anyhow::Result<()> {
        if reading && !self.has_room() {
            failpoint::at("full");
        }
        Ok(())
    }

    fn rows_came(&mut self) {
        self.starter.locks.forget();
    }

    fn events(&mut self, tokens: &[Token]) -> anyhow::Result<()> {
        for token in tokens {
            match *token {
                SIGNALS => self.obey()?,
                token => self.on_event(token),
            }
        }
        self.look_at_the_time();
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// Without a start, a row needs no room.
    fn has_room(&self) -> bool {
        self.interrupted || self.begun.len() < self.at_once
    }

    fn is_idle(&self) -> bool {
        self.begun.is_empty()
    }

    fn is_stopping(&self) -> bool {
        self.interrupted
    }

    fn has_given_up(&self) -> bool {
        self.given_up
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }
}

impl Run {
    /// Takes in the signals that have come.
    fn obey(&mut self) -> anyhow::Result<()> {
        while let Some(signal) = self.signals.take()? {
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
            self.report.pass_on(&row);
            return false;
        }
        if self.interrupted {
            let failure = Failure::new(Reason::Interrupted, "").saying("interrupted".into());
            self.fail(failure.of(row));
            return false;
        }
        let server = self.catalogue.server(&row.server);
        let pid_path = match instance::pid_path(&server, &row) {
            Ok(pid_path) => pid_path,
            Err(what) => {
                self.report.bad_line(&BadLine { line, what });
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
        self.report.flush();
        match self.starter.start(row, &server, &pid_path) {
            Outcome::Found(row) => self.report.put(&row),
            Outcome::WrongConfig(row, what) => {
                let message = format!("cannot start beside {what}");
                self.fail((row, message));
            }
            Outcome::Failed(row, failure) => self.fail(failure.of(row)),
            Outcome::Started(row, process, output) => {
                self.report.put(&row);
                if self.options.stdio() == Stdio::Null {
                    return true;
                }
                let patience = Patience {
                    to_the_end: self.options.foreground || (self.options.once && server.once),
                    supervise: self.options.supervise,
                    start_timeout: self.options.start_timeout,
                    kill_wait: self.catalogue.kill_wait,
                };
                self.last += 1;
                let id = self.last;
                let subject = (row, server, pid_path);
                let begun = Begun::new(subject, process, output, patience, (&self.epoll, id));
                match begun {
                    Ok(begun) => {
                        self.timers.set(id, begun.deadline());
                        self.begun.insert(id, begun);
                    }
                    Err(e) => self.trouble(&e),
                }
            }
        }
        true
    }

    /// Something has happened to a server.
    fn on_event(&mut self, token: Token) {
        let id = token.subject;
        let Some(begun) = self.begun.get_mut(&id) else {
            return;
        };
        let step = match token.part {
            begun::OUTPUT => begun.hear(&self.epoll),
            begun::END => begun.end(&self.epoll),
            _ => begun.strays_ended(&self.epoll),
        };
        self.go_on(id, step);
    }

    fn look_at_the_time(&mut self) {
        for id in self.timers.due(Instant::now()) {
            if let Some(begun) = self.begun.get_mut(&id) {
                let step = begun.time_is_up(&self.epoll);
                self.go_on(id, step);
            }
        }
    }

    fn go_on(&mut self, id: u64, step: io::Result<Step>) {
        self.follow(id, step);
        let deadline = self.begun.get(&id).and_then(Begun::deadline);
        self.timers.set(id, deadline);
    }

    /// Does what a step says.
    fn follow(&mut self, id: u64, step: io::Result<Step>) {
        match step {
            Ok(Step::Wait) => {}
            Ok(Step::Row(row)) => self.report.put(&row),
            Ok(Step::Done) => drop(self.begun.remove(&id)),
            Ok(Step::Lingers(row, Some(message))) => self.fail((row, message)),
            Ok(Step::Lingers(row, None)) => self.report.put(&row),
            Ok(Step::Last(row, failure)) => {
                self.begun.remove(&id);
                match failure {
                    Some(message) => self.fail((row, message)),
                    None => self.report.put(&row),
                }
            }
            Ok(Step::Remove(failure)) => {
                failpoint::at("ended");
                // The lock may have to be waited for.
                self.report.flush();
                let Some(begun) = self.begun.remove(&id) else {
                    return;
                };
                let (row, server, pid_path) = begun.subject();
                if let Err(e) = begun::remove_pid_file(row, server, pid_path, &self.starter.locks) {
                    let path = row.pidfile.as_deref().unwrap_or(pid_path.beneath.as_path());
                    TOOL.say(&format!(
                        "cannot remove {}: {}",
                        path.display(),
                        reason_of(&e)
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
        self.report.failed();
    }

    fn fail(&mut self, (row, message): (Row, String)) {
        self.report.fail(&row, &message);
    }
}
