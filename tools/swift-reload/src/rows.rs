//! Rows in, rows out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use swift_cli::Exit;
use swift_cli::text;
use swift_records::catalogue::{Catalogue, Server};
use swift_records::instance::{self, PidPath};
use swift_records::reason::Reason;
use swift_records::row::{Key, Row};
use swift_records::state::State;
use swift_server::actor::{self, Actor, Pace, Report, Token};
use swift_server::check::{self, Checks};
use swift_server::notify::Notice;
use swift_server::pidfile;
use swift_server::stream::BadLine;
use swift_sys as sys;
use swift_sys::epoll::Epoll;
use swift_sys::signal::Signal;

use crate::many::Many;
use crate::options::{Options, TOOL};
use crate::reload::{End, Failure, News};
use crate::target::{Refusal, Target};

/// The watch's token for the reloads.
const MANY: Token = Token {
    subject: 1,
    part: 0,
};

/// Descriptors that are kept free for the checks, and for a look at /proc.
const RESERVE: u64 = 160;
/// Descriptors that one reload holds: its process, its socket, and its folder
/// until it is checked.
const EACH: u64 = 3;

/// A row that is to be acted on, and how.
struct Task {
    row: Row,
    server: Server,
    pid_path: PidPath,
    signal: Signal,
}

struct Run {
    options: Options,
    catalogue: Catalogue,
    many: Many,
    /// The rows whose turn has not come.
    queue: VecDeque<Task>,
    /// The rows that are being acted on, by the number of their reload.
    rows: HashMap<u64, Row>,
    last: u64,
    seen: HashSet<Key>,
    /// How many reloads go on at the same time.
    at_once: usize,
    /// That Swift is too old to check configs was said: once is enough.
    told_too_old: bool,
    /// Something failed that ends it all, with --one-by-one.
    stopped: bool,
    report: Report,
}

/// Does the tool's job for the rows on standard input.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let descriptors = sys::limits::raise_descriptors()?;
    let at_once = match options.one_by_one {
        true => 1,
        false => (descriptors.saturating_sub(RESERVE) / EACH).max(1),
    };
    let checks = Checks::new(options.manner().check_timeout)?;
    let mut run = Run {
        many: Many::new(options.manner(), checks)?,
        report: Report::new(&TOOL, options.quiet)?,
        options,
        catalogue,
        queue: VecDeque::new(),
        rows: HashMap::new(),
        last: 0,
        seen: HashSet::new(),
        at_once: usize::try_from(at_once)?,
        told_too_old: false,
        stopped: false,
    };
    let epoll = Epoll::new()?;
    epoll.add(&run.many, MANY.into())?;
    actor::run(&mut run, &epoll)?;
    Ok(run.report.exit())
}

impl Actor for Run {
    fn row(&mut self, row: Row, line: u64) -> anyhow::Result<Pace> {
        self.take(row, line);
        Ok(Pace::Quick)
    }

    fn before_wait(&mut self, _reading: bool) -> anyhow::Result<()> {
        self.begin()?;
        for (id, news) in self.many.advance()? {
            self.told(id, news)?;
        }
        // What has ended makes room for the next.
        self.begin()?;
        self.report.flush();
        if self.report.is_lost() {
            self.queue.clear();
            self.many.withdraw();
        }
        Ok(())
    }

    fn events(&mut self, _tokens: &[Token]) -> anyhow::Result<()> {
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.many.deadline()
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.many.is_idle()
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
        let (State::Running, Some(signal)) = (row.state, server.seamless) else {
            self.report.pass_on(&row);
            return;
        };
        match instance::pid_path(&server, &row) {
            Err(what) => self.report.bad_line(&BadLine { line, what }),
            Ok(pid_path) if self.seen.insert(row.key()) => self.queue.push_back(Task {
                row,
                server,
                pid_path,
                signal,
            }),
            Ok(_) => {}
        }
    }

    /// Begins what may begin now.
    fn begin(&mut self) -> anyhow::Result<()> {
        while !self.queue.is_empty() && !self.report.is_lost() {
            if self.rows.len() >= self.at_once && !self.stopped {
                break;
            }
            let Some(task) = self.queue.pop_front() else {
                break;
            };
            self.last += 1;
            let row = task.row.clone();
            self.rows.insert(self.last, row);
            if self.stopped {
                let failure = Failure::new(Reason::Interrupted, "");
                self.told(self.last, News::Ended(End::Failed(failure)))?;
                continue;
            }
            match target(task) {
                Ok(target) => self.many.add(self.last, target),
                Err(failure) => self.many.fail(self.last, failure),
            }
        }
        Ok(())
    }

    fn told(&mut self, id: u64, news: News) -> anyhow::Result<()> {
        let Some(row) = self.rows.get(&id) else {
            return Ok(());
        };
        let who = who(row);
        match news {
            News::Checking => self.narrate(&format!("checking the config of {who}")),
            News::Settling => self.narrate(&format!("waiting until {who} can take the signal")),
            News::Sending => self.narrate(&format!("signalling {who}")),
            News::Heard(notice) => {
                if let Some(what) = heard(&notice) {
                    self.narrate(&format!("{who} is {what}"));
                }
            }
            News::TooOld => {
                let server = self.catalogue.server(&row.server);
                if !std::mem::replace(&mut self.told_too_old, true) {
                    TOOL.say(&check::too_old(&server.command));
                }
            }
            News::Unheard(holder) => TOOL.say(&unheard(&who, &holder)),
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
            _ => what_failed(&who(&row), &failure),
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
fn target(task: Task) -> Result<Target, Failure> {
    let Task {
        row,
        server,
        pid_path,
        signal,
    } = task;
    if row.is_orphan() {
        let text = format!("{signal} would kill it: its config is gone");
        return Err(Failure::new(Reason::Unsupported, text));
    }
    let pid = row.pid.ok_or(Refusal::Gone)?;
    let config = row.config.as_deref().unwrap_or("".as_ref());
    Ok(Target::of_row(
        server, signal, config, &pid_path, pid, row.start,
    )?)
}

fn who(row: &Row) -> String {
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    format!("{pid} ({})", row.server)
}

/// What a notification says a server is.
pub fn heard(notice: &Notice) -> Option<&'static str> {
    match notice {
        Notice::Ready => Some("READY"),
        Notice::Reloading => Some("RELOADING"),
        Notice::Stopping => Some("STOPPING"),
        Notice::Other(_) => None,
    }
}

/// That nothing a server says is heard, and why.
pub fn unheard(who: &str, why: &str) -> String {
    // The row of a failure says who holds the socket, and this line that it is the socket.
    let why = why.strip_prefix("its socket is ").unwrap_or(why);
    format!("reloading {who} without its notifications: its socket is {why}")
}

/// A failure as one line.
pub fn what_failed(who: &str, failure: &Failure) -> String {
    // The last line of what a program printed says what is wrong, and the row has it all.
    let text = text::one_line(text::last_line(&failure.text));
    let with_text = |what: &str| match text.is_empty() {
        true => what.to_owned(),
        false => format!("{what}: {text}"),
    };
    if failure.state == State::Denied {
        return format!("cannot signal {who}: Operation not permitted");
    }
    let why = match failure.reason {
        Reason::Vanished if text.is_empty() => "it has ended".into(),
        Reason::Timeout if failure.state == State::Misconfigured => {
            with_text("the check of its config took too long")
        }
        Reason::Timeout => "it is not ready in time".into(),
        Reason::Exit(status) => with_text(&format!("its config is bad (exit status {status})")),
        Reason::Signal(number) => {
            with_text(&format!("the check of its config died of signal {number}"))
        }
        Reason::ExecMissing => "its program is missing".into(),
        Reason::Untested => with_text("its config could not be checked"),
        Reason::Interrupted => "another one failed before its turn came".into(),
        Reason::Refused => with_text("its old generation serves on"),
        Reason::Busy => with_text("another process has its notification socket"),
        _ => text,
    };
    format!("cannot reload {who}: {why}")
}
