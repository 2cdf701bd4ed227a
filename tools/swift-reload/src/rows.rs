//! Rows in, rows out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::instance::RowInstance;
use swift_records::reason::Reason;
use swift_records::row::{Key, Row};
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, Token};
use swift_server::check::{self, Checks};
use swift_server::pidfile;
use swift_server::stream::BadLine;
use swift_sys as sys;
use swift_sys::epoll::Epoll;

use crate::failure::Failure;
use crate::news::{End, News, not_notified, state_word};
use crate::options::{Options, TOOL};
use crate::reloads::Reloads;
use crate::target::Target;

/// The token of the reloads.
const RELOADS: Token = Token {
    subject: 1,
    part: 0,
};

/// Descriptors that are kept free for the checks and /proc.
const RESERVE: u64 = 160;
/// Descriptors that one reload holds: its process, its socket, and its
/// directory until it is checked.
const FDS_PER_RELOAD: u64 = 3;

struct Run {
    options: Options,
    catalogue: Catalogue,
    reloads: Reloads,
    /// The rows whose turn has not come.
    queue: VecDeque<RowInstance>,
    /// The rows that are being acted on, by the id of their reload.
    rows: HashMap<u64, Row>,
    last: u64,
    seen: HashSet<Key>,
    /// How many reloads go on at the same time.
    max_running: usize,
    /// True once it was said that Swift is too old to check configs.
    warned_too_old: bool,
    /// Something failed that ends it all, with --one-by-one.
    stopped: bool,
    report: Report,
}

/// Does the tool's job for the rows on standard input.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let descriptors = sys::limits::raise_descriptors()?;
    let max_running = match options.one_by_one {
        true => 1,
        false => (descriptors.saturating_sub(RESERVE) / FDS_PER_RELOAD).max(1),
    };
    let checks = Checks::new(options.mode().check_timeout)?;
    let mut run = Run {
        reloads: Reloads::new(options.mode(), checks)?,
        report: Report::new(&TOOL, options.quiet)?,
        options,
        catalogue,
        queue: VecDeque::new(),
        rows: HashMap::new(),
        last: 0,
        seen: HashSet::new(),
        max_running: usize::try_from(max_running)?,
        warned_too_old: false,
        stopped: false,
    };
    let epoll = Epoll::new()?;
    epoll.add(&run.reloads, RELOADS.into())?;
    actor::run(&mut run, &epoll)?;
    Ok(run.report.exit())
}

impl Actor for Run {
    fn row(&mut self, row: Row, line: u64) -> anyhow::Result<Pace> {
        self.take(row, line);
        Ok(Pace::Quick)
    }

    fn before_wait(&mut self, _reading: bool) -> anyhow::Result<()> {
        self.begin();
        for (id, news) in self.reloads.advance()? {
            self.on_news(id, news)?;
        }
        // Reloads that have ended make room for the next.
        self.begin();
        self.report.flush();
        if self.report.is_lost() {
            self.queue.clear();
            self.reloads.withdraw();
        }
        Ok(())
    }

    fn events(&mut self, _tokens: &[Token]) -> anyhow::Result<()> {
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.reloads.deadline()
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.reloads.is_idle()
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }
}

impl Run {
    /// Puts a row into the queue, if it is one of a server that runs and knows
    /// a seamless reload, or passes it on.
    fn take(&mut self, row: Row, line: u64) {
        let server = self.catalogue.server(&row.server);
        if row.state != State::Running || server.seamless.is_none() {
            self.report.pass_on(&row);
            return;
        }
        match RowInstance::new(server, row) {
            Err(what) => self.report.bad_line(&BadLine { line, what }),
            Ok(task) if self.seen.insert(task.row.key()) => self.queue.push_back(task),
            Ok(_) => {}
        }
    }

    /// Begins what may begin now.
    fn begin(&mut self) {
        while (self.rows.len() < self.max_running || self.stopped)
            && !self.report.is_lost()
            && let Some(task) = self.queue.pop_front()
        {
            self.last += 1;
            self.rows.insert(self.last, task.row.clone());
            let target = match self.stopped {
                true => Err(Failure::new(Reason::Interrupted, "")),
                false => prove(task),
            };
            self.reloads.add(self.last, target);
        }
    }

    fn on_news(&mut self, id: u64, news: News) -> anyhow::Result<()> {
        let Some(row) = self.rows.get(&id) else {
            return Ok(());
        };
        let who = who(row);
        match news {
            News::Checking => self.narrate(&format!("checking the config of {who}")),
            News::Settling => self.narrate(&format!("waiting until {who} can take the signal")),
            News::Sending => self.narrate(&format!("signalling {who}")),
            News::Notified(notice) => {
                if let Some(what) = state_word(&notice) {
                    self.narrate(&format!("{who} is {what}"));
                }
            }
            News::TooOld => {
                let server = self.catalogue.server(&row.server);
                if !std::mem::replace(&mut self.warned_too_old, true) {
                    TOOL.say(&check::too_old(&server.command));
                }
            }
            News::NotNotified(why) => TOOL.say(&not_notified(&who, &why)),
            News::Signalled => self.report.put(&row.clone().with_state(State::Signalled)),
            News::Ended(end) => {
                let row = self.rows.remove(&id).expect("it was found just now");
                self.ended(row, end)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, row: Row, end: End) -> anyhow::Result<()> {
        let failure = match end {
            End::Reloaded => {
                self.report.put(&row.with_state(State::Reloaded));
                return Ok(());
            }
            End::Sent => return Ok(()),
            End::Failed(failure) => failure,
        };
        self.stopped |= self.options.one_by_one;
        let what = match (failure.state, row.pid) {
            (State::WrongConfig, Some(pid)) => {
                let other = Path::new(OsStr::from_bytes(&failure.text));
                pidfile::wrong_config(&row, pid, other)
            }
            _ => failure.message(&who(&row)),
        };
        let row = row.with(failure.state, failure.reason, &failure.text);
        self.report.fail(&row, &what);
        Ok(())
    }

    fn narrate(&self, what: &str) {
        if self.options.verbose {
            TOOL.say(what);
        }
    }
}

/// Proves the process of a row.
fn prove(task: RowInstance) -> Result<Target, Failure> {
    match task.server.seamless {
        Some(signal) if task.row.is_orphan() => {
            let text = format!("{signal} would kill it: its config is gone");
            Err(Failure::new(Reason::Unsupported, text))
        }
        _ => Ok(Target::of_row(task)?),
    }
}

fn who(row: &Row) -> String {
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    format!("{pid} ({})", row.server)
}
