//! `reload-seamless`: the seamless reload of servers that can, and the restart of those that cannot.
//! Nothing is stopped for good.

use swift_records::state::State;

use super::start;
use super::status;
use super::stop::{self, Then};
use crate::actors::{Event, Role};
use crate::outcome;
use crate::run::Run;
use crate::table::{Group, RowIndex};
use crate::{interrupt, table};

/// Reloads what runs; what is down stays down. True when all of it runs anew.
pub fn reload_seamless(run: &mut Run) -> anyhow::Result<bool> {
    let is_restarted = |group: &Group| {
        let mut rows = group.rows.iter();
        group.server.seamless.is_none() && rows.any(|row| row.state == State::Running)
    };
    if run.table.groups.iter().any(is_restarted) {
        run.actors.prepare_restarts()?;
    }
    for group in 0..run.table.groups.len() {
        if run.options.number.is_some() {
            let group = &run.table.groups[group];
            status::configs(run.options, group, &mut run.console.stdout);
        }
        for at in run.table.indices_of(group) {
            reload_one(run, at)?;
        }
        if !run.table.groups[group].rows.iter().any(table::runs) {
            outcome::say_none(run, group);
            run.table.groups[group].tally.failed = true;
        }
    }
    run.actors.close(Role::Signal);
    run.actors.close(Role::Reload);
    // A daemon is started as soon as it has ended, and reported when all have: then the lines stand in
    // the order of a restart.
    while run.actors.runs(Role::Signal) || run.actors.runs(Role::Reload) {
        match interrupt::next_event(run)? {
            Some(Event::Row(Role::Signal, at, row)) => stop::signalled(run, at, row, Then::Start)?,
            Some(Event::Row(Role::Reload, at, row)) => outcome::reloaded(run, at, &row),
            Some(Event::Row(Role::Spawn, at, row)) => run.deferred.push((at, row)),
            Some(Event::End(Role::Signal)) => announce_restarts(run),
            _ => {}
        }
    }
    run.console.stdout.release();
    start::finish(run)
}

fn reload_one(run: &mut Run, at: RowIndex) -> anyhow::Result<()> {
    let server = &run.table.groups[at.group].server;
    let (seamless, notifies) = (server.seamless.is_some(), server.notify);
    // The unit that owns it keeps it: its pid stays.
    if seamless && run.table[at].state == State::Owned {
        run.table[at] = run.table[at].clone().with_state(State::Running);
    }
    let row = &run.table[at];
    match seamless && row.state == State::Running {
        false => stop::end_one(run, at),
        true if notifies => run.actors.send(Role::Reload, at, row),
        true => run.actors.send_to_begin(Role::Reload, at, row),
    }
}

fn announce_restarts(run: &mut Run) {
    run.actors.close(Role::Spawn);
    if run.submitted.is_empty() {
        return;
    }
    start::say_limits(run);
    let mut submitted: Vec<RowIndex> = run.submitted.iter().copied().collect();
    submitted.sort();
    submitted
        .iter()
        .for_each(|at| start::say_starting(run, *at));
}
