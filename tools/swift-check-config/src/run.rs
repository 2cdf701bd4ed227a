//! From rows to rows, with the checks that go on beside.

use std::path::Path;
use std::time::Instant;

use swift_cli::Exit;
use swift_cli::program::SearchPath;
use swift_cli::text;
use swift_records::catalogue::{Catalogue, Server};
use swift_records::instance::pid_path;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, RowError, Token};
use swift_server::check::{self, Checks, Command, ConfigCheck, TEST_CONFIG, Verdict, swift_config};
use swift_server::preflight::{Preflight, Runner};
use swift_server::process::{self, Pid};
use swift_sys::epoll::Epoll;
use swift_sys::failpoint;

use crate::options::{Options, TOOL};
use crate::queue::Queue;

/// The token of checks.
const CHECKS: Token = Token::new(1, 0);

struct Checker {
    catalogue: Catalogue,
    path: SearchPath,
    checks: Checks,
    queue: Queue,
    report: Report,
}

/// Does what the command line says.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let mut checker = Checker {
        catalogue: Catalogue::load(&options.swift_dir)?,
        path: SearchPath::from_env(),
        checks: Checks::new(options.timeout.unwrap_or(check::TIMEOUT))?,
        queue: Queue::default(),
        report: Report::new(&TOOL, options.quiet)?,
    };
    let epoll = Epoll::new()?;
    epoll.add(&checker.checks, CHECKS.into())?;
    actor::run(&mut checker, &epoll)?;
    Ok(checker.report.exit())
}

impl Actor for Checker {
    fn row(&mut self, row: Row) -> Result<Pace, RowError> {
        self.add(row)?;
        Ok(Pace::Quick)
    }

    fn before_wait(&mut self, _reading: bool) -> anyhow::Result<()> {
        self.advance()
    }

    fn deadline(&self) -> Option<Instant> {
        self.checks.deadline()
    }

    fn is_idle(&self) -> bool {
        // A check whose verdict cannot be written is not awaited.
        self.queue.is_empty() || self.report.is_lost()
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }
}

impl Checker {
    /// Begins the check of a row that is to be checked. The error is for a bad line.
    fn add(&mut self, row: Row) -> Result<(), String> {
        let server = self.catalogue.server(&row.server);
        // An orphan has no config that could be checked.
        let acts = matches!(row.state, State::Running | State::Stopped) && !row.is_orphan();
        let config = match &row.config {
            Some(config) if acts && (server.check || server.swift.is_some()) => config.clone(),
            _ => {
                self.report.complain_of_unlooked(&row);
                self.queue.ready(row);
                return Ok(());
            }
        };
        pid_path(&server, &row)?;
        let preflight = preflight(&server, &config, row.pid);
        let number = self.queue.waiting(row);
        let mut check = ConfigCheck {
            preflight,
            ..ConfigCheck::default()
        };
        if server.check {
            let Some(program) = self.path.find(&server.command) else {
                self.settle(number, Verdict::Bad(Reason::ExecMissing, Vec::new()));
                return Ok(());
            };
            let name = server.command.into_owned().into();
            check.fallback = swift_config(&program, &config);
            check.command = Some(Command {
                program,
                args: vec![name, config.into(), TEST_CONFIG.into()],
            });
        }
        self.checks.add(number, check);
        Ok(())
    }

    /// Takes verdicts in, and writes what can be written.
    fn advance(&mut self) -> anyhow::Result<()> {
        for (number, verdict) in self.checks.advance()? {
            self.settle(number, verdict);
        }
        while let Some(row) = self.queue.next() {
            self.report.put(&row);
        }
        Ok(())
    }

    fn settle(&mut self, number: u64, verdict: Verdict) {
        failpoint::at("checked");
        let row = self.queue.settle(number);
        let config = row.config.as_deref().unwrap_or(Path::new("-")).display();
        let server = &row.server;
        match verdict {
            Verdict::Good => {}
            Verdict::TooOld => {
                let command = self.catalogue.server(server).command;
                self.report.warn_too_old(&command);
            }
            Verdict::Bad(reason, text) => {
                let bad = row.clone().with(State::Misconfigured, reason, &text);
                // The row has all that it printed.
                let last = text::one_line(text::last_line(bad.text()));
                let what = format!("cannot use {config} ({server}): {reason} {last}");
                self.report.complain(what.trim_end());
                *row = bad;
            }
        }
    }
}

/// The check of what a start of one of Swift's own servers by this process's user needs.
fn preflight(server: &Server, config: &Path, pid: Option<Pid>) -> Option<Preflight> {
    let runner = Runner::own();
    let user = pid.and_then(|pid| process::user(pid).ok().flatten());
    Some(Preflight {
        kind: server.swift?,
        name: server.name.to_string(),
        config: std::path::absolute(config).ok()?,
        runs: user.is_some_and(|user| user.uid == runner.uid),
        runner,
        same_network: true,
    })
}
