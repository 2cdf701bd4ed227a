//! The events of a command, and its end when it is asked to end: what was said is done first, and
//! what stays down is named.

use std::path::Path;

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::signal::Signal;
use swift_sys::signal_fd;

use crate::actors::{Event, Role};
use crate::options::Command;
use crate::outcome;
use crate::run::Run;
use crate::table::RowIndex;

/// The next event of the tools; none when all have ended. Standard output is written first, if there is
/// nothing else to do. A request to end ends the command.
pub fn next_event(run: &mut Run) -> anyhow::Result<Option<Event>> {
    release(run);
    if !run.has_event()? {
        release(run);
        run.console.flush();
    }
    loop {
        match run.next_event()? {
            Some(Event::Asked(signal)) => return Err(interrupt(run, signal)),
            Some(Event::NoResult(at)) => {
                // It may run or not, so nothing is said of it and nothing done to it.
                let row = run.table[at].clone();
                run.replace(at, row.with(State::Failed, Reason::Interrupted, b""));
            }
            event => return Ok(event),
        }
    }
}

/// Releases the lines about signals once all of these are sent. From then on, a request to end this
/// process is a new one.
fn release(run: &mut Run) {
    let is_pending = run.console.stdout.deferred || run.actors.ignores_requests;
    if is_pending && run.actors.has_begun(Role::Signal) {
        run.console.stdout.deferred = false;
        run.actors.ignores_requests = false;
    }
}

/// Ends this process as the signal would have done, once every signal was sent that was announced. The
/// tools begin nothing more then, and what has been started is tracked.
fn interrupt(run: &mut Run, signal: Signal) -> anyhow::Error {
    if let Err(error) = settle(run) {
        return error;
    }
    run.console.stdout.deferred = false;
    run.console.progress.clear();
    run.console.flush();
    let left: Vec<String> = left_alone(run).collect();
    left.iter().for_each(|line| run.console.error(line));
    run.log.rest(&run.table);
    signal_fd::die_of(signal).into()
}

/// Waits until all signals that were announced are sent, and until it is known what swift-spawn has
/// begun.
fn settle(run: &mut Run) -> anyhow::Result<()> {
    run.actors.close(Role::Signal);
    for (at, row) in std::mem::take(&mut run.deferred) {
        run.replace(at, row);
    }
    while !run.actors.has_reported(Role::Signal)
        && let Some(event) = run.next_event()?
    {
        // Another request repeats the first.
        if let Event::Row(role, at, row) = event {
            settled(run, role, at, row);
        }
    }
    if run.restarting.is_empty() {
        return Ok(());
    }
    for (role, at, row) in run.halt_spawn()? {
        settled(run, role, at, row);
    }
    Ok(())
}

fn settled(run: &mut Run, role: Role, at: RowIndex, row: Row) {
    match role {
        Role::Signal => outcome::signalled(run, at, &row),
        Role::Reload | Role::Spawn => run.replace(at, row),
    }
}

/// A line for each instance that was signalled and is left to itself.
fn left_alone(run: &Run) -> impl Iterator<Item = String> {
    let restarting = run.restarting.iter().map(|at| &run.table[*at]);
    let down = restarting
        .filter(|row| is_left_down(row))
        .map(|row| line(row, "will not be started"));
    let seamless = run.options.command == Command::ReloadSeamless;
    let groups = run.table.groups.iter();
    let reloading = groups
        .filter(move |group| seamless && group.server.seamless.is_some())
        .flat_map(|group| &group.rows)
        .filter(|row| row.state == State::Signalled)
        .map(|row| line(row, "is not waited for"));
    down.chain(reloading)
}

/// True when an instance that was to be started again is not, and is not known to run on.
fn is_left_down(row: &Row) -> bool {
    match row.state {
        State::Signalled | State::Stopped | State::Killed => true,
        State::Failed => row.reason() == Some(Reason::Interrupted),
        _ => false,
    }
}

fn line(row: &Row, what: &str) -> String {
    let config = row.config.as_deref().and_then(Path::file_name);
    let config = config.unwrap_or_default().display();
    let server = &row.server;
    format!("interrupted: {server} ({config}) was signalled and {what}")
}
