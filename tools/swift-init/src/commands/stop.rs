//! `stop`, `shutdown` and `kill`, and the first half of restarting.

use swift_records::row::Row;
use swift_records::state::State;

use super::{start, status};
use crate::actors::{Event, Role};
use crate::console::{Console, diagnostics};
use crate::interrupt;
use crate::options::{Command, Options};
use crate::outcome;
use crate::run::Run;
use crate::table::{RowIndex, Table};

/// The step after an instance has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Leave it stopped.
    StayDown,
    /// Start it again at once.
    Start,
}

/// Stops what runs. True when something ran and nothing is left of it.
pub fn stop(run: &mut Run) -> anyhow::Result<bool> {
    end_all(run, Then::StayDown, end_one)?;
    let any = run.table.groups.iter().any(|group| group.tally.ran);
    Ok(any && !run.has_failed())
}

/// Stops what runs; that nothing did is fine.
pub fn kill(run: &mut Run) -> anyhow::Result<bool> {
    if !stop(run)? {
        for group in &run.table.groups {
            let said = group.tally.said_none && run.options.number.is_none();
            if !said || group.running().next().is_some() {
                status::group_status(run.options, group, &mut run.console.stdout);
            }
        }
    }
    Ok(!run.has_failed())
}

/// Stops the servers of these rows while a command is at work that started them, as a command of its
/// own would. True when every server has ended.
pub fn stop_rows(run: &Run, options: &Options, rows: Vec<Row>) -> anyhow::Result<bool> {
    let words = options.servers.iter().map(String::as_str);
    let selection = run.catalogue.select(words);
    let table = Table::gather(run.catalogue, &selection, rows);
    let console = Console::new(options.verbose);
    let mut stopping = Run::new(options, run.catalogue, run.strict, table, console)?;
    // Requests that come before the stop was sent repeat the first.
    stopping.actors.ignores_requests = true;
    stop(&mut stopping)?;
    stopping.console.flush();
    Ok(!stopping.has_failed())
}

/// Has `end_one` announce and send each signal, and reports the results.
pub fn end_all(
    run: &mut Run,
    then: Then,
    end_one: fn(&mut Run, RowIndex) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for group in 0..run.table.groups.len() {
        if run.options.number.is_some() {
            let group = &run.table.groups[group];
            status::configs(run.options, group, &mut run.console.stdout);
        }
        for at in run.table.indices_of(group) {
            end_one(run, at)?;
        }
        if run.table.groups[group].running().next().is_none() {
            outcome::say_none(run, group);
        }
    }
    run.actors.close(Role::Signal);
    run.actors.close(Role::Reload);
    // An instance is started as soon as it has ended, and reported when all have: then the lines stand
    // in the order of a restart.
    while run.actors.runs(Role::Signal) || run.actors.runs(Role::Reload) {
        match interrupt::next_event(run)? {
            Some(Event::Row(Role::Signal, at, row)) => signalled(run, at, row, then)?,
            Some(Event::Row(Role::Reload, at, row)) => outcome::reloaded(run, at, &row),
            Some(Event::Row(Role::Spawn, at, row)) => run.deferred.push((at, row)),
            Some(Event::End(Role::Signal)) if run.options.command == Command::ReloadSeamless => {
                start::announce_submitted(run);
            }
            _ => {}
        }
    }
    run.console.stdout.deferred = false;
    Ok(())
}

/// Announces the signal for one instance and has it sent, or reports why not.
pub fn end_one(run: &mut Run, at: RowIndex) -> anyhow::Result<()> {
    let row = run.table[at].clone();
    let command = run.options.command;
    let server = &run.table.groups[at.group].server;
    let signal = match command {
        Command::ReloadSeamless => server.seamless.unwrap_or(server.stop),
        _ if run.options.graceful => server.graceful,
        _ => server.stop,
    };
    match row.state {
        State::Running => {
            // First, since what cannot be sent is not to be said.
            run.actors.ensure(Role::Signal)?;
            // It is written once it was done.
            run.console.stdout.deferred = true;
            run.console.stdout.signal(&row, signal);
            let restarts = command.restarts() || command == Command::ReloadSeamless;
            if restarts && !row.is_orphan() {
                run.restarting.insert(at);
                run.actors.announce_restart(&row);
            }
            run.table.tally(at).awaited += 1;
            run.actors.send(Role::Signal, at, &row, false)?;
        }
        State::Denied => {
            run.console.stdout.signal(&row, signal);
            outcome::denied(run, at, &row);
        }
        State::Owned => {
            let verb = match command {
                Command::Restart => "restart",
                Command::Reload | Command::ReloadSeamless => "reload",
                _ => "stop",
            };
            run.console.error(&diagnostics::owned(&row, verb));
            run.table.tally(at).failed = true;
        }
        State::Starting | State::Misconfigured | State::WrongConfig => {
            outcome::failed(run, at, &row);
        }
        _ => outcome::removed(run, at, &row),
    }
    Ok(())
}

/// Reports the result for an instance that was to end, and has it started again if that is wanted.
fn signalled(run: &mut Run, at: RowIndex, row: Row, then: Then) -> anyhow::Result<()> {
    outcome::signalled(run, at, &row);
    if then == Then::Start && matches!(row.state, State::Stopped | State::Killed) {
        run.spawn(at)?;
    }
    Ok(())
}
