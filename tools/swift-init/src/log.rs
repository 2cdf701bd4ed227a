//! The system's log of who did what to which instance, and the result: one line an instance,
//! when its final result is known. A log that is not there, or not read, loses lines and nothing else.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use swift_cli::service;
use swift_cli::text;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::user;
use swift_sys::syslog::{self, Sent, Severity};

use crate::options::{Command, Options, TOOL};
use crate::table::{RowIndex, Table};

/// The longest that a command waits in all for a log that does not read, after it has done everything.
const GRACE: Duration = Duration::from_millis(100);

/// The lines of one command.
pub struct Log<'a> {
    options: &'a Options,
    enabled: bool,
    /// True while another process writes the lines.
    pub paused: bool,
    /// The user who gave the command; found out for the first line.
    who: Option<String>,
    /// Instances that a tool reported on, with true when their line is written.
    touched: HashMap<RowIndex, bool>,
    /// Lines for which the log's queue had no room yet.
    waiting: VecDeque<(Severity, String)>,
}

impl<'a> Log<'a> {
    /// No line yet; nothing is opened before the first.
    pub fn new(options: &'a Options, enabled: bool) -> Log<'a> {
        Log {
            options,
            enabled,
            paused: false,
            who: None,
            touched: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    fn is_off(&self) -> bool {
        !self.enabled || self.paused
    }

    /// Writes the line of an instance, when what a tool said of it was the last word.
    pub fn row(&mut self, at: RowIndex, row: &Row) {
        if self.is_off() {
            return;
        }
        let is_last = is_last(self.options, row);
        // What was started by others meanwhile was not touched.
        if is_last && row.state != State::Running {
            self.write(row, true);
        }
        self.touched.insert(at, is_last);
    }

    /// Writes the lines of those that were refused, and of those that the command did not bring to
    /// an end. To be called when it is over.
    pub fn rest(&mut self, table: &Table) {
        if self.is_off() {
            return;
        }
        for at in table.indices() {
            let row = &table[at];
            match self.touched.insert(at, true) {
                Some(true) => {}
                Some(false) => self.write(row, false),
                None if is_refused(self.options, row) => self.write(row, true),
                None => {}
            }
        }
        self.finish();
    }

    fn write(&mut self, row: &Row, ended: bool) {
        let who = self.who.get_or_insert_with(|| {
            syslog::open(TOOL.name);
            user::who()
        });
        let severity = match ended && is_as_wished(self.options, row) {
            true => Severity::LOG_NOTICE,
            false => Severity::LOG_ERR,
        };
        // Standard error has reported a failure, with the same priority.
        if severity == Severity::LOG_ERR && service::stderr_is_journal() {
            return;
        }
        let instance = row.name();
        let result = result(row, ended);
        let line = format!("{who} {} {instance}: {result}", self.options.command.name());
        self.waiting
            .push_back((severity, text::one_line(line.as_bytes())));
        self.send();
    }

    fn send(&mut self) {
        while let Some((severity, line)) = self.waiting.front() {
            if syslog::write(*severity, line) == Sent::Full {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn finish(&mut self) {
        let deadline = Instant::now() + GRACE;
        while !self.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || syslog::wait(left).is_err() {
                self.waiting.clear();
            }
            self.send();
        }
    }
}

/// True when this is the final result of an instance.
fn is_last(options: &Options, row: &Row) -> bool {
    let seamless = options.command == Command::ReloadSeamless;
    match row.state {
        State::Started => options.no_wait || options.foreground,
        State::Signalled => options.no_wait && seamless,
        State::Stopped | State::Killed => !options.command.starts() && !seamless,
        _ => true,
    }
}

/// True when an instance was meant and nothing was done to it.
fn is_refused(options: &Options, row: &Row) -> bool {
    match row.state {
        State::Misconfigured | State::WrongConfig | State::Owned => true,
        State::Denied | State::Starting => {
            options.command.stops() || options.command == Command::ReloadSeamless
        }
        _ => false,
    }
}

fn is_as_wished(options: &Options, row: &Row) -> bool {
    match row.state {
        State::Started
        | State::Signalled
        | State::Ready
        | State::Reloaded
        | State::Stopped
        | State::Orphan
        | State::Killed => true,
        State::Finished => options.once || options.foreground,
        _ => false,
    }
}

/// The state and reason of swift-records(5), and the pid.
fn result(row: &Row, ended: bool) -> String {
    let interrupted = if ended { "" } else { "interrupted, " };
    let reason = row.reason().filter(|reason| *reason != Reason::Output);
    let reason = reason.map(|reason| format!(": {reason}"));
    let pid = row.pid.map(|pid| format!(", pid {pid}"));
    let (reason, pid) = (reason.unwrap_or_default(), pid.unwrap_or_default());
    format!("{interrupted}{}{reason}{pid}", row.state)
}
