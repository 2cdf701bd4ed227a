//! Telling the system's log who did what to which instance, and what came of it: one line an instance,
//! when its last word is known. A log that is not there, or not read, loses lines and nothing else.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use swift_cli::service;
use swift_cli::text;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::user;
use swift_sys::syslog::{self, Sent, Severity};

use crate::group::{Group, Place};
use crate::options::{Command, Options, TOOL};
use crate::plan;
use crate::report;

/// How long a command waits in all for a log that does not read, after it has done everything.
const GRACE: Duration = Duration::from_millis(100);

/// The lines of one command.
pub struct Log {
    enabled: bool,
    /// True while another process writes the lines.
    paused: bool,
    /// Who gave the command; found out for the first line.
    who: Option<String>,
    /// Of which instances a tool said something, and whether their line is written.
    touched: HashMap<Place, bool>,
    /// Lines for which the log's queue had no room yet.
    waiting: VecDeque<(Severity, String)>,
}

impl Log {
    /// No line yet; nothing is opened before the first.
    pub fn new(enabled: bool) -> Log {
        Log {
            enabled,
            paused: false,
            who: None,
            touched: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Has lines written, or leaves them to another process.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    fn is_off(&self) -> bool {
        !self.enabled || self.paused
    }

    /// Writes the line of an instance, when what a tool said of it was the last word.
    pub fn row(&mut self, options: &Options, place: Place, row: &Row) {
        if self.is_off() {
            return;
        }
        let is_last = is_last(options, row);
        // What was started by others meanwhile was not touched.
        if is_last && row.state != State::Running {
            self.write(options, row, true);
        }
        self.touched.insert(place, is_last);
    }

    /// Writes the lines of those that were refused, and of those that the command did not bring to
    /// an end. To be called when it is over.
    pub fn rest(&mut self, options: &Options, groups: &[Group]) {
        if self.is_off() {
            return;
        }
        for (group, one) in groups.iter().enumerate() {
            for (number, row) in one.rows.iter().enumerate() {
                match self.touched.get(&(group, number)) {
                    Some(true) => {}
                    Some(false) => self.write(options, row, false),
                    None if is_refused(options, row) => self.write(options, row, true),
                    None => {}
                }
            }
        }
        self.touched.values_mut().for_each(|done| *done = true);
        self.finish();
    }

    fn write(&mut self, options: &Options, row: &Row, ended: bool) {
        let who = self.who.get_or_insert_with(|| {
            syslog::open(TOOL.name);
            user::who()
        });
        let severity = match ended && is_as_wished(options, row) {
            true => Severity::LOG_NOTICE,
            false => Severity::LOG_ERR,
        };
        // A failure was told on standard error, with the same priority.
        if severity == Severity::LOG_ERR && service::stderr_is_journal() {
            return;
        }
        let instance = report::name(&row.server, row.config.as_deref());
        let result = result(row, ended);
        let line = format!("{who} {} {instance}: {result}", options.command.name());
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

/// Whether nothing more is to come of an instance.
fn is_last(options: &Options, row: &Row) -> bool {
    let starts = plan::starts(options.command);
    match row.state {
        State::Started => !options.wait || !options.daemon,
        State::Signalled => !options.wait && options.command == Command::ReloadSeamless,
        State::Stopped | State::Killed => !starts && options.command != Command::ReloadSeamless,
        _ => true,
    }
}

/// Whether an instance was meant and nothing was done to it.
fn is_refused(options: &Options, row: &Row) -> bool {
    let ends = !matches!(
        options.command,
        Command::Start | Command::NoDaemon | Command::NoWait | Command::Once
    );
    match row.state {
        State::Misconfigured | State::WrongConfig | State::Owned => true,
        State::Denied | State::Starting => ends,
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
        State::Finished => options.once || !options.daemon,
        _ => false,
    }
}

/// The state and reason of swift-records(5), and the pid.
fn result(row: &Row, ended: bool) -> String {
    let mut out = String::new();
    if !ended {
        out.push_str("interrupted, ");
    }
    out.push_str(row.state.word());
    if let Some(reason) = row.reason().filter(|reason| *reason != Reason::Output) {
        out.push_str(&format!(": {reason}"));
    }
    if let Some(pid) = row.pid {
        out.push_str(&format!(", pid {pid}"));
    }
    out
}
