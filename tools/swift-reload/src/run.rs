//! The reloads of rows, or of one PID.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::instance::RowInstance;
use swift_records::reason::Reason;
use swift_records::row::{Key, Row};
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, RowError, Token};
use swift_server::check::Checks;
use swift_server::pidfile;
use swift_sys::epoll::Epoll;
use swift_sys::limits;

use crate::failure::Failure;
use crate::news::{End, News, Subject};
use crate::options::{Options, TOOL};
use crate::original::{self, print};
use crate::reloads::Reloads;
use crate::target::Target;
use crate::unit::Unit;

/// Descriptors that are kept free for the checks and /proc.
const RESERVE: u64 = 160;
/// Descriptors that one reload holds: its process, its socket, and its
/// directory until it is checked.
const FDS_PER_RELOAD: u64 = 3;

struct Run {
    options: Options,
    catalogue: Catalogue,
    reloads: Reloads,
    /// The subjects of reloads that go on.
    subjects: HashMap<u64, Subject>,
    seen: HashSet<Key>,
    max_running: usize,
    /// True once a failure ends it all, with --one-by-one.
    stopped: bool,
    /// The unit whose reload this is.
    unit: Option<Unit>,
    report: Report,
}

/// Does the tool's job.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let mut checks = Checks::new(options.mode().check_timeout)?;
    let (mut target, mut unit, mut max_running) = (None, None, 1);
    match options.pid {
        Some(pid) => {
            let Some(proven) = original::prove(&catalogue, pid) else {
                return Ok(Exit::Usage);
            };
            unit = Unit::of(&proven)?;
            match &unit {
                // The unit's status line says what is bad, so it goes into the verdict.
                Some(unit) => unit.extend_timeout(&options.mode()),
                None => checks = original::relaying(checks)?,
            }
            target = Some((pid, proven));
        }
        None => {
            let descriptors = limits::raise_descriptors()?;
            if !options.one_by_one {
                max_running = actor::max_subjects(descriptors, RESERVE, FDS_PER_RELOAD);
            }
        }
    }
    let epoll = Rc::new(Epoll::new()?);
    let mut run = Run {
        reloads: Reloads::new(options.mode(), checks, epoll.clone())?,
        report: Report::new(&TOOL, options.quiet)?,
        options,
        catalogue,
        subjects: HashMap::new(),
        seen: HashSet::new(),
        max_running,
        stopped: false,
        unit,
    };
    match target {
        Some((pid, target)) => {
            let subject = Subject {
                row: None,
                who: format!("{pid} ({})", target.server.name),
                program: target.server.command.to_string(),
                signal: Some(target.signal),
            };
            run.begin(subject, Ok(target));
            actor::run_without_rows(&mut run, &epoll)?;
        }
        None => actor::run(&mut run, &epoll)?,
    }
    Ok(run.report.exit())
}

impl Actor for Run {
    /// Reloads the server of a row, if it is one that runs and knows a seamless reload.
    fn row(&mut self, row: Row) -> Result<Pace, RowError> {
        let server = self.catalogue.server(&row.server);
        if row.state != State::Running || server.seamless.is_none() {
            self.report.pass_on(&row);
            return Ok(Pace::Quick);
        }
        let instance = RowInstance::new(server, row)?;
        if !self.seen.insert(instance.row.key()) {
            return Ok(Pace::Quick);
        }
        let pid = instance.row.pid.map(|pid| pid.to_string());
        let subject = Subject {
            row: Some(instance.row.clone()),
            who: format!("{} ({})", pid.unwrap_or_default(), instance.row.server),
            program: instance.server.command.to_string(),
            signal: instance.server.seamless,
        };
        let target = match self.stopped {
            true => Err(Failure::new(Reason::Interrupted, "")),
            false => Target::of_row(instance),
        };
        self.begin(subject, target);
        // Its reload may end at once, which makes room for the next.
        Ok(Pace::Slow)
    }

    fn before_wait(&mut self, _reading: bool) -> anyhow::Result<()> {
        self.report.flush();
        if self.report.is_lost() {
            self.reloads.withdraw();
        }
        Ok(())
    }

    fn events(&mut self, tokens: &[Token]) -> anyhow::Result<()> {
        for (id, news) in self.reloads.advance(tokens)? {
            self.on_news(id, news)?;
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.reloads.deadline()
    }

    fn has_room(&self) -> bool {
        self.stopped || self.subjects.len() < self.max_running
    }

    fn is_idle(&self) -> bool {
        self.reloads.is_idle()
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }
}

impl Run {
    fn begin(&mut self, subject: Subject, target: Result<Target, Failure>) {
        let id = self.reloads.add(target);
        self.subjects.insert(id, subject);
    }

    fn on_news(&mut self, id: u64, news: News) -> anyhow::Result<()> {
        let Some(subject) = self.subjects.get(&id) else {
            return Ok(());
        };
        if let Some(unit) = &mut self.unit {
            unit.follow(&subject.who, &news)?;
        }
        if let Some(step) = subject.step(&news).filter(|_| self.options.verbose) {
            match &subject.row {
                Some(_) => TOOL.say(&step),
                // A step that cannot be written does not matter to the reload.
                None => drop(print(&step)),
            }
        }
        match (news, &subject.row) {
            (News::TooOld, _) => self.report.warn_too_old(&subject.program),
            (News::NotNotified(why), _) => TOOL.say(&subject.not_notified(&why)),
            (News::Signalled, Some(row)) => {
                self.report.put(&row.clone().with_state(State::Signalled));
            }
            (News::Ended(end), _) => {
                if let Some(subject) = self.subjects.remove(&id) {
                    self.on_end(subject, end)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_end(&mut self, subject: Subject, end: End) -> anyhow::Result<()> {
        let Subject {
            row, who, program, ..
        } = subject;
        match (end, row) {
            (End::Reloaded, Some(row)) => self.report.put(&row.with_state(State::Reloaded)),
            (End::Sent, Some(_)) => {}
            (End::Reloaded | End::Sent, None) => print(&format!("Reloaded {program}"))?,
            (End::Failed(failure), None) => {
                let exit = original::failed(&who, &program, &failure);
                self.report.failed_with(exit);
            }
            (End::Failed(failure), Some(row)) => {
                self.stopped |= self.options.one_by_one;
                let what = match (failure.state, row.pid) {
                    (State::WrongConfig, Some(pid)) => {
                        let other = Path::new(OsStr::from_bytes(&failure.text));
                        pidfile::wrong_config(&row, pid, other)
                    }
                    _ => failure.message(&who),
                };
                let row = row.with(failure.state, failure.reason, &failure.text);
                self.report.fail(&row, &what);
            }
        }
        Ok(())
    }
}
