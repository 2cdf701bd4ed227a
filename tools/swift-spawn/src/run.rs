//! From the options to the exit status: start as rows come in, and await all
//! that was started together.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::instance::RowInstance;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, RowError, Token};
use swift_server::pidfile::PidFileCleaner;
use swift_server::process::Process;
use swift_server::timers::Timers;
use swift_sys::epoll::Epoll;
use swift_sys::error::reason_of;
use swift_sys::failpoint;
use swift_sys::limits;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::{SignalFd, die_of};

use crate::environment;
use crate::failure::Failure;
use crate::options::{Options, Stdio, TOOL};
use crate::start::{Start, Starter};
use crate::started::{Context, Progress, StartedServer, Timeouts};

/// The token of signals. Servers are the subjects after it.
const SIGNALS: Token = Token {
    subject: 1,
    part: 0,
};

/// Descriptors that are kept free for all else: the caller's, files, the lock.
const RESERVE: u64 = 64;

/// Descriptors that an awaited server takes: its process and its output.
const FDS_PER_SERVER: u64 = 2;

struct Run {
    options: Options,
    catalogue: Catalogue,
    starter: Starter,
    cleaner: PidFileCleaner,
    epoll: Rc<Epoll>,
    signals: SignalFd,
    servers: HashMap<u64, StartedServer>,
    timers: Timers,
    last: u64,
    max_awaited: usize,
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
        max_awaited: max_awaited()?,
        report: Report::new(&TOOL, options.quiet)?,
        options,
        catalogue,
        starter,
        cleaner: PidFileCleaner::default(),
        epoll: epoll.clone(),
        signals,
        servers: HashMap::new(),
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

/// The number of servers that can be awaited at a time.
fn max_awaited() -> io::Result<usize> {
    let descriptors = limits::descriptors()?;
    Ok(actor::max_subjects(descriptors, RESERVE, FDS_PER_SERVER))
}

impl Actor for Run {
    /// Acts on a row if it is one to act on. Events are handled between two starts.
    fn row(&mut self, row: Row) -> Result<Pace, RowError> {
        if row.state != State::Stopped || row.is_orphan() {
            self.report.pass_on(&row);
            return Ok(Pace::Quick);
        }
        if self.interrupted {
            let failure = Failure::new(Reason::Interrupted, "").saying("interrupted".into());
            self.report.put_outcome(&failure.of(row));
            return Ok(Pace::Quick);
        }
        let target = RowInstance::new(self.catalogue.server(&row.server), row)?;
        if !std::mem::replace(&mut self.limits_raised, true) {
            for warning in environment::raise_limits(&self.catalogue.limits) {
                TOOL.say(&warning);
            }
            self.max_awaited = max_awaited().unwrap_or(self.max_awaited);
        }
        // The start may have to wait for the lock.
        self.report.flush();
        match self.starter.start(&target, &self.cleaner.locks) {
            Start::Done(row, process, output) => {
                self.report.put(&row);
                if self.options.stdio() != Stdio::Null {
                    self.wait_for(RowInstance { row, ..target }, process, output);
                }
            }
            Start::NotDone(outcome) => self.report.put_outcome(&outcome),
        }
        Ok(Pace::Slow)
    }

    fn before_wait(&mut self, reading: bool) -> anyhow::Result<()> {
        if reading && !self.has_room() {
            failpoint::at("full");
        }
        Ok(())
    }

    fn rows_came(&mut self) {
        self.cleaner.locks.forget();
    }

    fn events(&mut self, tokens: &[Token]) -> anyhow::Result<()> {
        for token in tokens {
            match *token {
                SIGNALS => self.obey()?,
                Token { subject, part } => {
                    self.go_on(subject, |server, context| server.on_event(part, context));
                }
            }
        }
        for id in self.timers.due(Instant::now()) {
            self.go_on(id, StartedServer::on_deadline);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// Without a start, a row needs no room.
    fn has_room(&self) -> bool {
        self.interrupted || self.servers.len() < self.max_awaited
    }

    fn is_idle(&self) -> bool {
        self.servers.is_empty()
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
                // A user who presses Ctrl-C twice does not want to wait.
                Signal::INT if self.interrupted && !self.options.leaves_stop_to_caller() => {
                    return Err(die_of(Signal::INT).into());
                }
                _ => {}
            }
            self.interrupted = true;
        }
        if !self.options.leaves_stop_to_caller() {
            // A pass may take hours.
            for id in self.servers.keys().copied().collect::<Vec<_>>() {
                self.go_on(id, |server, context| Ok(server.hurry(context.report)));
            }
        }
        Ok(())
    }

    fn wait_for(&mut self, target: RowInstance, process: Process, output: Option<OwnedFd>) {
        let once = self.options.once && target.server.once;
        let timeouts = Timeouts {
            to_the_end: self.options.foreground || once,
            supervise: self.options.supervise,
            start_timeout: self.options.start_timeout,
            kill_wait: self.catalogue.kill_wait,
        };
        self.last += 1;
        let id = self.last;
        match StartedServer::new(target, process, output, timeouts, (&self.epoll, id)) {
            Ok(server) => {
                self.timers.set(id, server.deadline());
                self.servers.insert(id, server);
            }
            Err(e) => self.trouble(&e),
        }
    }

    /// Lets a server take a step, and forgets it when that was the last one.
    fn go_on(
        &mut self,
        id: u64,
        step: impl FnOnce(&mut StartedServer, &mut Context) -> io::Result<Progress>,
    ) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let mut context = Context {
            epoll: &self.epoll,
            report: &mut self.report,
            cleaner: &mut self.cleaner,
        };
        match step(server, &mut context) {
            Ok(Progress::Awaited) => return self.timers.set(id, server.deadline()),
            Ok(Progress::Over) => {}
            Err(e) => self.trouble(&e),
        }
        self.servers.remove(&id);
        self.timers.set(id, None);
    }

    /// A failing system call that should not: the others are awaited further.
    fn trouble(&mut self, error: &io::Error) {
        TOOL.say(&format!("cannot wait for a server: {}", reason_of(error)));
        self.report.failed();
    }
}
