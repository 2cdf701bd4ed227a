//! The reloads of rows, or of one PID, which go on at the same time, each at its own pace.

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
use swift_server::check::{Checks, Verdict};
use swift_server::pidfile;
use swift_sys::epoll::{Epoll, min_deadline};
use swift_sys::limits;

use crate::failure::Failure;
use crate::news::{End, News, Subject};
use crate::options::{Options, TOOL};
use crate::original::{self, print};
use crate::reload::{Progress, Reload};
use crate::target::Target;
use crate::unit::Unit;

/// Descriptors that are kept free for the checks and /proc.
const RESERVE: u64 = 160;
/// Descriptors that one reload holds: its process, its socket, and its
/// directory until it is checked.
const FDS_PER_RELOAD: u64 = 3;

/// The token of the checks. Reloads are the subjects after it.
const CHECKS: Token = Token::new(1, 0);
/// The part of a reload's notification socket.
const SOCKET: u8 = 0;
/// The part of its process.
const PROCESS: u8 = 1;

struct Run {
    options: Options,
    catalogue: Catalogue,
    epoll: Rc<Epoll>,
    checks: Checks,
    /// The reloads that go on. Checks whose reload is over are abandoned.
    reloads: HashMap<u64, (Subject, Reload)>,
    last: u64,
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
    epoll.add(&checks, CHECKS.into())?;
    let mut run = Run {
        epoll: epoll.clone(),
        checks,
        reloads: HashMap::new(),
        last: CHECKS.subject,
        report: Report::new(&TOOL, options.quiet)?,
        options,
        catalogue,
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
            run.begin(subject, Ok(target))?;
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
        self.begin(subject, target).map_err(RowError::Failed)?;
        // Its reload may end at once, which makes room for the next.
        Ok(Pace::Slow)
    }

    fn before_wait(&mut self, _reading: bool) -> anyhow::Result<()> {
        self.report.flush();
        if self.report.is_lost() {
            self.reloads.retain(|_, (_, reload)| reload.is_signalled());
        }
        Ok(())
    }

    fn events(&mut self, tokens: &[Token]) -> anyhow::Result<()> {
        for (id, verdict) in self.checks.advance()? {
            self.on_verdict(id, verdict)?;
        }
        for Token { subject, part } in tokens.iter().filter(|token| **token != CHECKS) {
            self.go_on(*subject, Reload::on_readable)?;
            if *part == PROCESS {
                self.go_on(*subject, |reload, _| Err(reload.ended()))?;
            }
        }
        let now = Instant::now();
        let late = |reload: &Reload| reload.deadline().is_some_and(|deadline| deadline <= now);
        let late = self.reloads.iter().filter(|(_, (_, reload))| late(reload));
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.go_on(id, Reload::on_deadline)?;
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let reloads = self.reloads.values();
        let first = reloads.filter_map(|(_, reload)| reload.deadline()).min();
        min_deadline(first, self.checks.deadline())
    }

    fn has_room(&self) -> bool {
        self.stopped || self.reloads.len() < self.max_running
    }

    fn is_idle(&self) -> bool {
        self.reloads.is_empty()
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }
}

impl Run {
    /// Begins a reload, unless it has failed already.
    fn begin(&mut self, subject: Subject, target: Result<Target, Failure>) -> anyhow::Result<()> {
        self.last += 1;
        let id = self.last;
        let mut reload = match target.and_then(|target| self.watch(id, target)) {
            Ok(reload) => reload,
            Err(failure) => return self.on_end(subject, End::Failed(failure)),
        };
        if let Err(failure) = reload.announcements.socket() {
            let why = String::from_utf8_lossy(&failure.text);
            TOOL.say(&subject.not_notified(&why));
        }
        let checks = self.options.mode().check && reload.target.server.check;
        let check = checks.then(|| reload.target.config_check());
        if let Some(Ok(_)) = check {
            self.on_news(&subject, News::Checking)?;
        }
        self.reloads.insert(id, (subject, reload));
        match check {
            Some(Ok(check)) => self.checks.add(id, check),
            Some(Err(verdict)) => self.on_verdict(id, verdict)?,
            None => self.on_verdict(id, Verdict::Good)?,
        }
        Ok(())
    }

    fn watch(&self, id: u64, target: Target) -> Result<Reload, Failure> {
        let token = |part| u64::from(Token::new(id, part));
        let reload = Reload::begin(target, self.options.mode())?;
        if let Ok(socket) = reload.announcements.socket() {
            self.epoll.add(socket, token(SOCKET))?;
        }
        self.epoll.add(&reload.target.process, token(PROCESS))?;
        Ok(reload)
    }

    fn on_verdict(&mut self, id: u64, verdict: Verdict) -> anyhow::Result<()> {
        // The notifications up to now come before what is done next.
        self.go_on(id, Reload::on_readable)?;
        self.go_on(id, |reload, news| reload.on_verdict(verdict, news))
    }

    /// Lets a reload take a step. When that was the last one, its descriptors are closed before its end
    /// is reported.
    fn go_on(
        &mut self,
        id: u64,
        step: impl FnOnce(&mut Reload, &mut Vec<News>) -> Progress,
    ) -> anyhow::Result<()> {
        let Some((subject, mut reload)) = self.reloads.remove(&id) else {
            return Ok(());
        };
        let mut all = Vec::new();
        let end = step(&mut reload, &mut all);
        for news in all {
            self.on_news(&subject, news)?;
        }
        match end.unwrap_or_else(|failure| Some(End::Failed(failure))) {
            Some(end) => {
                drop(reload);
                self.on_end(subject, end)
            }
            None => {
                self.reloads.insert(id, (subject, reload));
                Ok(())
            }
        }
    }

    fn on_news(&mut self, subject: &Subject, news: News) -> anyhow::Result<()> {
        if let (Some(unit), News::Notified(notice)) = (&mut self.unit, &news) {
            unit.follow(notice)?;
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
            (News::Signalled, Some(row)) => {
                self.report.put(&row.clone().with_state(State::Signalled));
            }
            _ => {}
        }
        Ok(())
    }

    fn on_end(&mut self, subject: Subject, end: End) -> anyhow::Result<()> {
        if let Some(unit) = &self.unit {
            unit.ended(&subject.who, &end)?;
        }
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
