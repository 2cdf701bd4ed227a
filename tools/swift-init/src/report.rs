//! What is said on standard error: diagnostics that the original does not have.

use std::path::Path;

use swift_cli::text;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::signal::Signal;

use crate::options::TOOL;

/// Says what went wrong with an instance, if something did: in one line, and
/// with all that the server said of its config when `verbose`.
pub fn failure(row: &Row, verbose: bool) {
    let Some(what) = describe(row) else { return };
    say(&format!("{}: {what}", name_of(row)));
    if verbose && row.state == State::Misconfigured {
        output(row.text());
    }
}

/// Says that a unit of systemd owns an instance, and how systemctl(1) does what was
/// asked for: `reload`, `restart` or `stop`.
pub fn owned(row: &Row, then: &str) {
    let words = text::one_line(row.text());
    let unit = words.rsplit(' ').next().unwrap_or_default();
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    // systemctl stops what runs before anything reads the new config.
    let unchecked = match then {
        "restart" => " (it checks no config)",
        _ => "",
    };
    say(&format!(
        "{}: left alone: {unit} owns pid {pid}: use systemctl {then} {words}{unchecked}, or --force",
        name_of(row)
    ));
}

/// Says a line.
pub fn say(line: &str) {
    TOOL.say(line);
}

/// What somebody who asked what runs is told of an instance that does not, or
/// that could not be looked at; none of one that runs, and none of a pid file
/// whose config is gone and whose process is too.
pub fn down(row: &Row) -> Option<String> {
    let reason = match (row.state, row.reason()) {
        (_, Some(Reason::Unreadable)) | (State::Starting | State::Failed, _) => {
            return Some(format!("{}: {}", name_of(row), describe(row)?));
        }
        (State::WrongConfig, _) => format!("wrong-config: {}", other_config(row)),
        (State::Stopped, reason) => reason?.to_string(),
        _ => return None,
    };
    let file = pid_file(row);
    Some(format!("{} is not running: {file}: {reason}", name_of(row)))
}

fn name_of(row: &Row) -> String {
    name(&row.server, row.config.as_deref())
}

fn pid_file(row: &Row) -> std::path::Display<'_> {
    row.pidfile.as_deref().unwrap_or(Path::new("")).display()
}

/// Which process a pid file names that runs with another config, and with which.
fn other_config(row: &Row) -> String {
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let config = text::one_line(row.text());
    format!("pid {pid} runs with {config}")
}

/// How an instance is called in messages.
pub fn name(server: &str, config: Option<&Path>) -> String {
    let config = config.unwrap_or(Path::new("no config")).display();
    format!("{server} ({config})")
}

/// Passes a server's own words on, line by line.
fn output(bytes: &[u8]) {
    for line in text::backslash_replace(bytes).lines() {
        TOOL.say(&format!("| {line}"));
    }
}

fn describe(row: &Row) -> Option<String> {
    let text = text::one_line(row.text());
    let file = pid_file(row);
    if let Some(why) = row.kept() {
        let why = text::one_line(why);
        return Some(format!("pid file {file}: cannot remove: {why}"));
    }
    Some(match (row.state, row.reason()) {
        (State::Misconfigured, reason) => {
            let left = if row.start.is_some() {
                "it was left alone"
            } else {
                "it was not started"
            };
            let last = text::one_line(text::last_line(row.text()));
            let colon = if last.is_empty() { "" } else { ": " };
            let reason = ending(reason, "", false);
            format!("its config is refused, so {left}: {reason}{colon}{last}")
        }
        // swift-resolve-servers names a directory that it cannot read.
        (_, Some(Reason::Unreadable)) if row.pidfile.is_none() => return None,
        (_, Some(Reason::Unreadable)) => format!("cannot read pid file {file}: {text}"),
        (State::Failed, Some(Reason::PidFile)) => {
            format!("not started, since its pid file {file} cannot be written: {text}")
        }
        (State::Failed, Some(Reason::ExecMissing)) if !text.is_empty() => {
            format!("failed to start: {text}")
        }
        (State::Failed, Some(Reason::Unproven)) => {
            format!("failed to start, since it would not be found again: {text}")
        }
        (State::Failed, reason) => format!("failed to start: {}", ending(reason, &text, true)),
        (State::Unreloaded, reason) => {
            format!("not reloaded: {}", ending(reason, &text, false))
        }
        (State::Finished, _) => "has ended with exit status 0, so it does not run".into(),
        (State::Survived, _) => match row.pid {
            Some(pid) => format!("has not ended in time: pid {pid} is still there"),
            None => "has not ended in time".into(),
        },
        (State::WrongConfig, _) => format!("left alone: {file}: {}", other_config(row)),
        (State::Denied, Some(Reason::Unsupported)) => text,
        (State::Denied, _) => return None,
        (State::Starting, _) => "is being started by somebody else".into(),
        _ => return None,
    })
}

/// Why an instance of a unit is not started: it runs already, or cannot be looked at, or failed.
pub fn not_started(row: &Row) -> String {
    let what = match (row.state, row.pid) {
        (State::Running | State::Denied, Some(pid)) => {
            format!("runs already outside this unit, pid {pid}: stop it first")
        }
        (State::Finished, _) => "ended with exit status 0 before it was ready".to_owned(),
        _ => describe(row).unwrap_or_else(|| "runs already outside this unit".to_owned()),
    };
    format!("{}: {what}", name_of(row))
}

/// How a server ended that had been ready.
pub fn ended(row: &Row) -> String {
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let how = match row.reason() {
        Some(Reason::Exit(status)) => format!("exited with {status}"),
        Some(Reason::Signal(number)) => match Signal::from_number(number.into()) {
            Some(signal) => format!("was ended by {signal}"),
            None => format!("was ended by signal {number}"),
        },
        _ => "has ended".to_owned(),
    };
    format!("{}, pid {pid}, {how}", name_of(row))
}

/// A reason in words. The output that follows an exit status is told apart.
fn ending(reason: Option<Reason>, text: &str, printed: bool) -> String {
    let words = match reason {
        Some(Reason::Exit(status)) => return format!("exit status {status}"),
        Some(Reason::Signal(number)) => return format!("ended by signal {number}"),
        Some(Reason::Timeout) => "took too long".to_owned(),
        Some(Reason::ExecMissing) => "its program does not exist".to_owned(),
        Some(Reason::ExecFailed) => "cannot be executed".to_owned(),
        Some(Reason::Busy) => "somebody else is at work on it".to_owned(),
        Some(Reason::Vanished) => "it went away".to_owned(),
        Some(Reason::Lock) => "cannot lock the run directory".to_owned(),
        Some(Reason::Interrupted) => "interrupted".to_owned(),
        Some(reason) => reason.to_string(),
        None => "no reason given".to_owned(),
    };
    if text.is_empty() || (printed && reason == Some(Reason::Timeout)) {
        words
    } else {
        format!("{words}: {text}")
    }
}
