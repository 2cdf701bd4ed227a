//! From the options to the exit status: signal as rows come in, await the ends.

use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::instance::RowInstance;
use swift_records::reason::Reason;
use swift_records::row::{Key, Row};
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, RowError, Token};
use swift_server::outcome::Outcome;
use swift_server::pidfile::PidFileCleaner;
use swift_server::process::Process;
use swift_sys as sys;
use swift_sys::epoll::Epoll;
use swift_sys::failpoint;

use crate::jobs::{Job, Jobs};
use crate::options::{Options, SignalSpec, TOOL};
use crate::send;

/// Descriptors that are kept free for all else: files, the lock, /proc.
const RESERVE: u64 = 32;

/// How long a killed process may take to be gone, at least.
const KILL_WAIT: Duration = Duration::from_secs(15);

struct Run {
    spec: SignalSpec,
    options: Options,
    catalogue: Catalogue,
    wait: Option<Duration>,
    epoll: Rc<Epoll>,
    jobs: Jobs,
    seen: HashSet<Key>,
    cleaner: PidFileCleaner,
    report: Report,
}

/// Does the tool's job.
pub fn run((spec, options): (SignalSpec, Options)) -> anyhow::Result<Exit> {
    let catalogue = match &options.site_file {
        Some(file) => Catalogue::load_file(file)?,
        None => Catalogue::load(&options.swift_dir)?,
    };
    let default = spec.ends().then_some(catalogue.kill_wait);
    let descriptors = sys::limits::raise_descriptors()?;
    let epoll = Rc::new(Epoll::new()?);
    let mut run = Run {
        wait: options.wait.or(default).filter(|_| !options.children),
        report: Report::new(&TOOL, options.quiet)?,
        spec,
        options,
        catalogue,
        epoll: epoll.clone(),
        jobs: Jobs::new(actor::max_subjects(descriptors, RESERVE, 1)),
        seen: HashSet::new(),
        cleaner: PidFileCleaner::default(),
    };
    actor::run(&mut run, &epoll)?;
    Ok(run.report.exit())
}

/// Everything is signalled before anything is awaited, so events wait for the rows that are there.
impl Actor for Run {
    fn row(&mut self, row: Row) -> Result<Pace, RowError> {
        self.begin(row)?;
        Ok(Pace::Quick)
    }

    fn before_wait(&mut self, reading: bool) -> anyhow::Result<()> {
        match reading {
            true => Ok(()),
            false => self.reopen(),
        }
    }

    fn events(&mut self, tokens: &[Token]) -> anyhow::Result<()> {
        self.cleaner.locks.forget();
        let ended = tokens.iter().filter_map(|token| self.jobs.take(*token));
        let ended = ended.map(|(job, process)| (job, Some(process))).collect();
        self.end(ended);
        for (job, process) in self.jobs.take_due(&self.epoll)? {
            self.overdue(job, process)?;
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.jobs.deadline()
    }

    fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }
}

impl Run {
    /// Signals the server of a row, if the row is one of a server that runs.
    fn begin(&mut self, row: Row) -> Result<(), RowError> {
        if row.state != State::Running {
            self.report.pass_on(&row);
            return Ok(());
        }
        let target = RowInstance::new(self.catalogue.server(&row.server), row)?;
        if !self.seen.insert(target.row.key()) {
            return Ok(());
        }
        let Some(signal) = self.spec.of(&target.server) else {
            let what = format!("{} has no signal for that", target.server.name);
            let (denied, why) = (State::Denied, b"no signal for that");
            self.report
                .fail(&target.row.with(denied, Reason::Unsupported, why), &what);
            return Ok(());
        };
        match (
            send::signal(&target, signal, self.options.children),
            self.wait,
        ) {
            (Ok(process), Some(wait)) => {
                if self.options.announce {
                    self.report
                        .put(&target.row.clone().with_state(State::Signalled));
                }
                self.jobs
                    .add(&self.epoll, Job::new(target, wait), process)?;
            }
            (Ok(_), None) => self.report.put(&target.row.with_state(State::Signalled)),
            (Err(outcome), _) if outcome.is_stale() => {
                let row = outcome.row;
                self.clean(vec![(RowInstance { row, ..target }, None)]);
            }
            (Err(outcome), _) => self.report.put_outcome(&outcome),
        }
        Ok(())
    }

    /// Opens again what was let go of, as far as there is room.
    fn reopen(&mut self) -> anyhow::Result<()> {
        while let Some(job) = self.jobs.take_parked() {
            match send::prove(&job.target) {
                Ok(process) => self.jobs.open(&self.epoll, job, process)?,
                // The server that was signalled has ended, and another one may have its pid.
                Err(outcome)
                    if outcome.failure.is_none() || outcome.row.state == State::WrongConfig =>
                {
                    self.end(vec![(job, None)]);
                }
                Err(outcome) => self.report.put_outcome(&outcome),
            }
        }
        Ok(())
    }

    /// These processes have ended.
    fn end(&mut self, jobs: Vec<(Job, Option<Process>)>) {
        let ended = jobs.into_iter().map(|(job, process)| {
            let state = match (job.target.row.is_orphan(), job.killed) {
                (true, _) => State::Orphan,
                (false, true) => State::Killed,
                (false, false) => State::Stopped,
            };
            let mut target = job.target;
            target.row.start = None;
            target.row = target.row.with_state(state);
            (target, process)
        });
        let ended = ended.collect();
        self.clean(ended);
    }

    /// Removes the pid files of rows whose processes have ended, and writes them. None is written
    /// meanwhile: its reader may be waiting for the lock.
    fn clean(&mut self, ended: Vec<(RowInstance, Option<Process>)>) {
        if !ended.is_empty() {
            // The lock may have to be waited for.
            self.report.flush();
        }
        let cleaned = ended.into_iter().map(|(target, process)| {
            failpoint::at("ended");
            let removed = self.cleaner.remove(&target.instance(), process.as_ref());
            failpoint::at("removed");
            match removed {
                Ok(()) => target.row.into(),
                Err(why) => not_removed(target.row, &why),
            }
        });
        let cleaned: Vec<Outcome> = cleaned.collect();
        self.cleaner.unlock();
        cleaned
            .iter()
            .for_each(|outcome| self.report.put_outcome(outcome));
    }

    /// The wait for the process is over and it has not ended.
    fn overdue(&mut self, job: Job, process: Process) -> anyhow::Result<()> {
        if process.has_ended()? {
            self.end(vec![(job, Some(process))]);
            return Ok(());
        }
        if !self.options.kill || job.killed {
            let what = format!(
                "{} ({}) has not ended in time",
                process.pid, job.target.row.server
            );
            let row = job.target.row.with(State::Survived, Reason::Timeout, b"");
            self.report.fail(&row, &what);
            return Ok(());
        }
        failpoint::at("overdue");
        match process.kill_group() {
            Ok(true) => {
                failpoint::at("killed");
                let wait = self.wait.unwrap_or(KILL_WAIT).max(KILL_WAIT);
                self.jobs.add(&self.epoll, job.killed(wait), process)?;
            }
            // It has ended by itself in the last moment.
            Ok(false) => self.end(vec![(job, Some(process))]),
            Err(e) => self.report.put_outcome(&send::denied(job.target.row, &e)),
        }
        Ok(())
    }
}

/// The outcome of a row whose process has ended and whose pid file is still there.
fn not_removed(row: Row, why: &str) -> Outcome {
    let path = row.pidfile.as_deref().unwrap_or(Path::new("")).display();
    let message = format!("cannot remove {path}: {why}");
    let state = row.state;
    Outcome::failed(row.with(state, Reason::Stale, b"").with_kept(why), message)
}
