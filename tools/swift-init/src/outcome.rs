//! The messages for each row that a tool has written.

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::signal::Signal;

use crate::run::Run;
use crate::table::{self, RowIndex};

/// Reports a failure of an instance.
pub fn failed(run: &mut Run, at: RowIndex, row: &Row) {
    run.console.report(row);
    run.table.tally(at).failed = true;
}

/// Says that an instance may not be signalled.
pub fn denied(run: &mut Run, at: RowIndex, row: &Row) {
    run.console.stdout.no_permission(row);
    run.table.tally(at).failed = true;
}

/// Says which pid file was removed, or reports that it could not be read or removed.
pub fn removed(run: &mut Run, at: RowIndex, row: &Row) {
    run.console.stdout.removed(row);
    kept(run, at, row);
}

/// Reports a pid file that could not be read or removed.
fn kept(run: &mut Run, at: RowIndex, row: &Row) {
    if row.reason() == Some(Reason::Unreadable) || row.kept().is_some() {
        failed(run, at, row);
    }
}

/// Says that nothing of a server runs, once, where that is known.
pub fn say_none(run: &mut Run, group: usize) {
    let group = &mut run.table.groups[group];
    if !group.is_unclear() && !std::mem::replace(&mut group.tally.said_none, true) {
        run.console.stdout.none_running(&group.server.name);
    }
}

fn say_waited(run: &mut Run, at: RowIndex, then: &str) {
    let group = run.table.group(at);
    if std::mem::replace(&mut group.tally.said_waited, true) {
        return;
    }
    let default = run.catalogue.kill_wait.as_secs() as i64;
    let seconds = run.options.kill_wait.unwrap_or(default);
    let line = format!(
        "Waited {seconds} seconds for {} to die; {then}",
        group.server.name
    );
    run.console.stdout.line(&line);
}

/// Reports what swift-signal wrote of an instance that was to end.
pub fn signalled(run: &mut Run, at: RowIndex, row: &Row) {
    run.replace(at, row.clone());
    match (row.state, row.reason()) {
        (State::Signalled, _) => return,
        (State::Killed, _) => {
            say_waited(run, at, "killing");
            run.console.stdout.signal(row, Signal::KILL);
            run.table.tally(at).ran = true;
        }
        (State::Survived, _) => {
            say_waited(run, at, "giving up");
            failed(run, at, row);
            run.table.tally(at).ran = true;
        }
        (State::Denied, _) => denied(run, at, row),
        (State::Stopped | State::Orphan, reason) => {
            if reason.is_none() || row.kept().is_some() {
                run.console.stdout.stopped(row);
                run.table.tally(at).ran = true;
            } else {
                run.console.stdout.removed(row);
            }
        }
        _ => failed(run, at, row),
    }
    kept(run, at, row);
    let tally = run.table.tally(at);
    tally.awaited = tally.awaited.saturating_sub(1);
    if !tally.ran && tally.awaited == 0 {
        say_none(run, at.group);
    }
}

/// Reports what swift-reload wrote of an instance.
pub fn reloaded(run: &mut Run, at: RowIndex, row: &Row) {
    run.replace(at, row.clone());
    match row.state {
        State::Signalled => {
            if let Some(signal) = run.table.groups[at.group].server.seamless {
                run.console.stdout.signal(row, signal);
            }
        }
        State::Reloaded => {}
        state => {
            if state == State::Denied {
                run.console.stdout.no_permission(row);
            }
            failed(run, at, row);
        }
    }
}

/// Reports what swift-spawn wrote of an instance.
pub fn spawned(run: &mut Run, at: RowIndex, row: &Row) {
    run.replace(at, row.clone());
    match (row.state, row.reason()) {
        (State::Started, _) => {}
        (State::Ready | State::Finished, reason) => {
            if reason == Some(Reason::Output) {
                print(run, at, row);
            }
            let once = run.options.once && run.table.groups[at.group].server.once;
            if row.state == State::Finished && !run.options.foreground && !once {
                run.console.report(row);
            }
        }
        (State::Failed, Some(Reason::ExecMissing)) => {
            let group = run.table.group(at);
            if !std::mem::replace(&mut group.tally.said_missing, true) {
                let line = format!("{} does not exist", group.server.command);
                run.console.stdout.line(&line);
            }
            group.tally.failed |= run.strict;
            run.console.report(row);
        }
        (State::Failed, reason) => {
            if let Some(Reason::Exit(_) | Reason::Signal(_) | Reason::Timeout) = reason {
                print(run, at, row);
            }
            failed(run, at, row);
        }
        (State::Running | State::Starting, _) => {
            run.console.stdout.running(row);
            if !run.table.groups[at.group].rows.iter().any(is_ours) {
                run.console.stdout.already_started(&row.server);
                // A restart is content with what another command has started.
                let only_starts = run.options.command.starts() && !run.options.command.restarts();
                run.table.tally(at).failed |= run.strict && only_starts;
            }
        }
        _ => failed(run, at, row),
    }
}

/// Prints the output of a server, once.
fn print(run: &mut Run, at: RowIndex, row: &Row) {
    if !row.text().is_empty() && run.printed.insert(at) {
        run.console.stdout.output(row.text());
    }
}

/// True when an instance is yet to be started, or was started by this command.
fn is_ours(row: &Row) -> bool {
    let states = [
        State::Started,
        State::Ready,
        State::Finished,
        State::Failed,
        State::Killed,
    ];
    states.contains(&row.state) || table::may_be_started(row)
}
