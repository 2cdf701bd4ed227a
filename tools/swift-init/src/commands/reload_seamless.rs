//! `reload-seamless`: the seamless reload of servers that can, and the restart of those that cannot.
//! Nothing is stopped for good.

use swift_records::state::State;

use super::start;
use super::stop::{self, Then};
use crate::actors::Role;
use crate::run::Run;
use crate::table::{Group, RowIndex};

/// Reloads what runs; what is down stays down. True when all of it runs anew.
pub fn reload_seamless(run: &mut Run) -> anyhow::Result<bool> {
    let is_restarted = |group: &Group| {
        let mut rows = group.rows.iter();
        group.server.seamless.is_none() && rows.any(|row| row.state == State::Running)
    };
    if run.table.groups.iter().any(is_restarted) {
        run.actors.prepare_restarts()?;
    }
    for group in &mut run.table.groups {
        let any = group.running().next().is_some();
        group.tally.failed |= !any;
    }
    stop::end_all(run, Then::Start, reload_one)?;
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
        true => run.actors.send(Role::Reload, at, row, !notifies),
    }
}
