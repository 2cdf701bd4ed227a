//! Diagnostics for standard error, which the original does not have: an instance and its failure, on
//! one line.

use swift_cli::text;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::signal::Signal;

use super::stdout::{path, pid};

/// The failure of an instance, if it has one to report.
pub fn failure(row: &Row) -> Option<String> {
    Some(format!("{}: {}", row.name(), describe(row)?))
}

/// The unit of systemd that owns an instance, and how systemctl(1) does what was asked for: `reload`,
/// `restart` or `stop`.
pub fn owned(row: &Row, then: &str) -> String {
    let words = text::one_line(row.text());
    let unit = words.rsplit(' ').next().unwrap_or_default();
    // systemctl stops what runs before anything reads the new config.
    let unchecked = match then {
        "restart" => " (it checks no config)",
        _ => "",
    };
    let (name, pid) = (row.name(), pid(row));
    format!(
        "{name}: left alone: {unit} owns pid {pid}: use systemctl {then} {words}{unchecked}, or --force"
    )
}

/// The diagnostic of `status` for an instance that is down or could not be inspected; none for a pid
/// file whose config and process are both gone.
pub fn down(row: &Row) -> Option<String> {
    let reason = match (row.state, row.reason()) {
        (_, Some(Reason::Unreadable)) | (State::Starting | State::Failed, _) => {
            return failure(row);
        }
        (State::WrongConfig, _) => format!("wrong-config: {}", other_config(row)),
        (State::Stopped, reason) => reason?.to_string(),
        _ => return None,
    };
    let file = path(&row.pidfile);
    Some(format!("{} is not running: {file}: {reason}", row.name()))
}

/// The process of a pid file that runs with another config.
fn other_config(row: &Row) -> String {
    format!("pid {} runs with {}", pid(row), text::one_line(row.text()))
}

/// So many servers.
pub fn servers(count: usize) -> String {
    match count {
        1 => "1 server".to_owned(),
        _ => format!("{count} servers"),
    }
}

fn describe(row: &Row) -> Option<String> {
    let text = text::one_line(row.text());
    let file = path(&row.pidfile);
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
        (State::Starting, _) => "is being started by another process".into(),
        _ => return None,
    })
}

/// The reason why an instance of a unit is not started: it runs, cannot be inspected, or failed.
pub fn not_started(row: &Row) -> String {
    let what = match (row.state, row.pid) {
        (State::Running | State::Denied, Some(pid)) => {
            format!("runs already outside this unit, pid {pid}: stop it first")
        }
        (State::Finished, _) => "ended with exit status 0 before it was ready".to_owned(),
        _ => describe(row).unwrap_or_else(|| "runs already outside this unit".to_owned()),
    };
    format!("{}: {what}", row.name())
}

/// The end of a server that had been ready.
pub fn ended(row: &Row) -> String {
    let how = match row.reason() {
        Some(Reason::Exit(status)) => format!("exited with {status}"),
        Some(Reason::Signal(number)) => match Signal::from_number(number.into()) {
            Some(signal) => format!("was ended by {signal}"),
            None => format!("was ended by signal {number}"),
        },
        _ => "has ended".to_owned(),
    };
    format!("{}, pid {}, {how}", row.name(), pid(row))
}

/// A reason in words. The output that follows an exit status is reported apart.
fn ending(reason: Option<Reason>, text: &str, printed: bool) -> String {
    let words = match reason {
        Some(Reason::Exit(status)) => return format!("exit status {status}"),
        Some(Reason::Signal(number)) => return format!("ended by signal {number}"),
        Some(Reason::Timeout) => "took too long".to_owned(),
        Some(Reason::ExecMissing) => "its program does not exist".to_owned(),
        Some(Reason::ExecFailed) => "cannot be executed".to_owned(),
        Some(Reason::Busy) => "another process is at work on it".to_owned(),
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
