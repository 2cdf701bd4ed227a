//! `restart`, `reload` and `reload-seamless`. A seamless reload restarts the servers that know none, and
//! stops nothing for good.

use swift_records::state::State;

use super::start::{self, After};
use super::stop::{self, Then};
use crate::actors::Role;
use crate::run::Run;
use crate::table::{self, Group, RowIndex};

/// Stops what runs and starts it again, each as soon as it has ended; starts what did not run as well.
/// True when all runs afterwards.
pub fn restart(run: &mut Run) -> anyhow::Result<bool> {
    let all: Vec<_> = run.table.indices().collect();
    for at in all {
        if table::may_be_started(&run.table[at]) {
            run.spawn(at)?;
        }
    }
    if run.table.rows().any(|row| row.state == State::Running) {
        run.actors.prepare_restarts()?;
    }
    stop::end_all(run, Then::Start, stop::end_one)?;
    if run.table.groups.iter().all(start::left_alone) {
        return start::finish(run);
    }
    start::start(run, After::Stopping)
}

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
