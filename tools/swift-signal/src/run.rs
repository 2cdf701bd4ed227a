//! From the options to the exit status: signal as rows come in, await the ends.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::instance::{self, Instance};
use swift_records::reason::Reason;
use swift_records::row::{Key, Row};
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, Token};
use swift_server::process::Process;
use swift_server::stream::BadLine;
use swift_sys as sys;
use swift_sys::epoll::Epoll;
use swift_sys::failpoint;

use crate::act::{self, Done, Proof};
use crate::jobs::{Job, Jobs};
use crate::options::{Options, TOOL};
use crate::tidy::{Ended, Tidier};

/// Descriptors that are kept free for all else: files, the lock, a look at /proc.
const RESERVE: u64 = 32;

/// How long a killed process may take to be gone, at least.
const KILL_WAIT: Duration = Duration::from_secs(15);

struct Run {
    options: Options,
    catalogue: Catalogue,
    wait: Option<Duration>,
    epoll: Rc<Epoll>,
    jobs: Jobs,
    seen: HashSet<Key>,
    tidier: Tidier,
    report: Report,
}

/// Does the tool's job.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load_file(&options.site_file)?;
    let default = options.meaning.ends().then_some(catalogue.kill_wait);
    let descriptors = sys::limits::raise_descriptors()?;
    let epoll = Rc::new(Epoll::new()?);
    let mut run = Run {
        wait: options.wait.or(default).filter(|_| !options.children),
        report: Report::new(&TOOL, options.quiet)?,
        options,
        catalogue,
        epoll: epoll.clone(),
        jobs: Jobs::new(descriptors.saturating_sub(RESERVE).max(1) as usize),
        seen: HashSet::new(),
        tidier: Tidier::default(),
    };
    actor::run(&mut run, &epoll)?;
    Ok(run.report.exit())
}

/// Everything is signalled before anything is awaited, so events wait for the rows that are there.
impl Actor for Run {
    fn row(&mut self, row: Row, line: u64) -> anyhow::Result<Pace> {
        self.begin(row, line)?;
        Ok(Pace::Quick)
    }

    fn before_wait(&mut self, reading: bool) -> anyhow::Result<()> {
        match reading {
            true => Ok(()),
            false => self.reopen(),
        }
    }

    fn events(&mut self, tokens: &[Token]) -> anyhow::Result<()> {
        self.tidier.forget_locks();
        let ended = tokens.iter().filter_map(|token| self.jobs.take(*token));
        let ended = ended.map(|(job, process)| (job, Some(process))).collect();
        self.end(ended)?;
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
    fn begin(&mut self, row: Row, line: u64) -> anyhow::Result<()> {
        if row.state != State::Running {
            self.report.pass_on(&row);
            return Ok(());
        }
        let server = self.catalogue.server(&row.server);
        let pid_path = match instance::pid_path(&server, &row) {
            Ok(pid_path) => pid_path,
            Err(what) => {
                self.report.bad_line(&BadLine { line, what });
                return Ok(());
            }
        };
        if !self.seen.insert(row.key()) {
            return Ok(());
        }
        let Some(signal) = self.options.meaning.of(&server) else {
            let what = format!("{} has no signal for that", row.server);
            return self.done(Done::Failure(
                row.with(State::Denied, Reason::Unsupported, b"no signal for that"),
                what,
            ));
        };
        let config = row.config.clone().expect("a row with a place has a config");
        let instance = Instance {
            server: &server,
            config: &config,
            pid_path: &pid_path,
        };
        match (
            act::signal(row, &instance, signal, self.options.children),
            self.wait,
        ) {
            (Done::Signalled(row, process), Some(wait)) => {
                if self.options.announce {
                    self.report.put(&row.clone().with_state(State::Signalled));
                }
                Ok(self.jobs.add(&self.epoll, Job::new(row, wait), process)?)
            }
            (Done::Row(row), _)
                if matches!(row.reason(), Some(Reason::Stale | Reason::WrongProcess)) =>
            {
                let reason = row.reason();
                self.tidy(vec![Ended {
                    row,
                    server,
                    state: State::Stopped,
                    reason,
                    process: None,
                }])
            }
            (done, _) => self.done(done),
        }
    }

    /// Opens again what was let go of, as far as there is room.
    fn reopen(&mut self) -> anyhow::Result<()> {
        while let Some(job) = self.jobs.take_parked() {
            let server = self.catalogue.server(&job.row.server);
            let config = job
                .row
                .config
                .clone()
                .expect("it was signalled with a config");
            let pid_path = instance::pid_path(&server, &job.row).map_err(anyhow::Error::msg)?;
            let instance = Instance {
                server: &server,
                config: &config,
                pid_path: &pid_path,
            };
            match act::prove(job.row.clone(), &instance) {
                Proof::Process(process) => self.jobs.open(&self.epoll, job, process)?,
                Proof::Row(_) => self.end(vec![(job, None)])?,
                // The server that was signalled has ended, and another one has its pid.
                Proof::Failure(row, _) if row.state == State::WrongConfig => {
                    self.end(vec![(job, None)])?;
                }
                Proof::Failure(row, what) => self.done(Done::Failure(row, what))?,
            }
        }
        Ok(())
    }

    /// These processes have ended.
    fn end(&mut self, jobs: Vec<(Job, Option<Process>)>) -> anyhow::Result<()> {
        let ended = jobs.into_iter().map(|(job, process)| Ended {
            process,
            server: self.catalogue.server(&job.row.server),
            state: match job.killed {
                true => State::Killed,
                false => State::Stopped,
            },
            row: job.row,
            reason: None,
        });
        let ended = ended.collect();
        self.tidy(ended)
    }

    fn tidy(&mut self, ended: Vec<Ended>) -> anyhow::Result<()> {
        if !ended.is_empty() {
            // The lock may have to be waited for.
            self.report.flush();
        }
        for done in self.tidier.tidy(ended) {
            self.done(done)?;
        }
        Ok(())
    }

    /// The wait for the process is over and it has not ended.
    fn overdue(&mut self, job: Job, process: Process) -> anyhow::Result<()> {
        if process.has_ended()? {
            return self.end(vec![(job, Some(process))]);
        }
        if self.options.kill && !job.killed {
            failpoint::at("overdue");
            match process.kill_group() {
                Ok(true) => {}
                // It has ended by itself in the last moment.
                Ok(false) => return self.end(vec![(job, Some(process))]),
                Err(e) => {
                    let done = act::denied(job.row, &e);
                    return self.done(done);
                }
            }
            failpoint::at("killed");
            let wait = self.wait.unwrap_or(KILL_WAIT).max(KILL_WAIT);
            return Ok(self.jobs.add(&self.epoll, job.killed(wait), process)?);
        }
        let pid = process.pid;
        let what = format!("{pid} ({}) has not ended in time", job.row.server);
        self.done(Done::Failure(
            job.row.with(State::Survived, Reason::Timeout, b""),
            what,
        ))
    }

    /// Writes the row that something came to.
    fn done(&mut self, done: Done) -> anyhow::Result<()> {
        let row = match done {
            Done::Row(row) => row,
            Done::Signalled(row, _) => row.with_state(State::Signalled),
            Done::Failure(row, what) => {
                self.report.fail(&row, &what);
                return Ok(());
            }
        };
        self.report.put(&row);
        Ok(())
    }
}
