//! `start` and its kin, and the second half of restarting.

use swift_records::row::Row;
use swift_records::state::State;

use super::status;
use crate::actors::{Event, Role};
use crate::interrupt;
use crate::outcome;
use crate::run::Run;
use crate::table::{self, Group, RowIndex};

/// The step before a start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing: the rows are as they were observed, and nothing was said of them.
    Observing,
    /// A stop, which reported the rows that it left alone.
    Stopping,
}

/// Starts what does not run. True when there was something to start of each server, where that
/// matters, and all of it came up.
pub fn start(run: &mut Run, after: After) -> anyhow::Result<bool> {
    for at in announce(run, after) {
        run.spawn(at)?;
    }
    finish(run)
}

/// Reports the results of all that was sent to swift-spawn.
pub fn finish(run: &mut Run) -> anyhow::Result<bool> {
    run.actors.close(Role::Spawn);
    for (at, row) in std::mem::take(&mut run.deferred) {
        outcome::spawned(run, at, &row);
    }
    while let Some(event) = interrupt::next_event(run)? {
        if let Event::Row(Role::Spawn, at, row) = event {
            outcome::spawned(run, at, &row);
        }
    }
    Ok(!run.has_failed())
}

/// Says what will be started, what runs already and what cannot be found, server by server, and returns
/// where the rows stand that are to be started.
pub fn announce(run: &mut Run, after: After) -> Vec<RowIndex> {
    say_limits(run);
    let mut starting = Vec::new();
    for group in 0..run.table.groups.len() {
        let of_group = announce_group(run, group, after);
        let group = &mut run.table.groups[group];
        group.tally.failed |= of_group.is_empty() && run.strict && !left_alone(group);
        starting.extend(of_group);
    }
    starting
}

/// Says which limits could not be raised.
fn say_limits(run: &mut Run) {
    let warnings = run.actors.limit_warnings();
    warnings
        .iter()
        .for_each(|line| run.console.stdout.line(line));
}

fn announce_group(run: &mut Run, number: usize, after: After) -> Vec<RowIndex> {
    let group = &run.table.groups[number];
    status::configs(run.options, group, &mut run.console.stdout);
    if group.configured().next().is_none() {
        return Vec::new();
    }
    if after == After::Observing {
        for at in run.table.indices_of(number) {
            // Most rows have nothing that is to be said, and there may be many.
            let row = &run.table[at];
            if row.reason().is_none() && !is_denied(row) {
                continue;
            }
            let row = row.clone();
            outcome::removed(run, at, &row);
            match row.state {
                State::Denied => outcome::denied(run, at, &row),
                State::WrongConfig => outcome::failed(run, at, &row),
                _ => {}
            }
        }
    }
    let group = &run.table.groups[number];
    let running = |row: &&Row| table::runs(row) && !is_reported(row);
    for row in group.rows.iter().filter(running) {
        let stdout = &mut run.console.stdout;
        match row.is_orphan() {
            false => stdout.running(row),
            // Its pid file stands for the config, which is gone.
            true if run.options.number.is_none() => stdout.running_from(row, &row.pidfile),
            true => {}
        }
    }
    let is_down = |row: &Row| row.state == State::Killed || table::may_be_started(row);
    let indices = run.table.indices_of(number);
    let starting: Vec<RowIndex> = indices.filter(|at| is_down(&run.table[*at])).collect();
    if starting.is_empty() && group.rows.iter().any(|row| running(&row)) {
        run.console.stdout.already_started(&group.server.name);
    }
    starting.iter().for_each(|at| say_starting(run, *at));
    starting
}

/// Says that an instance is started.
fn say_starting(run: &mut Run, at: RowIndex) {
    let server = &run.table.groups[at.group].server;
    let config = &run.table[at].config;
    let once = run.options.once && server.once;
    run.console.stdout.starting(&server.name, config, once);
}

/// Says that the instances are started which were sent to swift-spawn, and sends it no more.
pub fn announce_submitted(run: &mut Run) {
    run.actors.close(Role::Spawn);
    if run.submitted.is_empty() {
        return;
    }
    say_limits(run);
    let submitted: Vec<RowIndex> = run.submitted.iter().copied().collect();
    submitted.into_iter().for_each(|at| say_starting(run, at));
}

/// True when it was said of an instance why nothing is done to it.
fn is_reported(row: &Row) -> bool {
    matches!(row.state, State::Misconfigured | State::Owned)
}

/// True when an instance may not be touched.
fn is_denied(row: &Row) -> bool {
    matches!(row.state, State::Denied | State::WrongConfig)
}

/// True when a server was left alone on purpose, which was reported already.
pub fn left_alone(group: &Group) -> bool {
    let mut rows = group.rows.iter();
    !group.rows.is_empty() && rows.all(|row| is_reported(row) || is_denied(row))
}
