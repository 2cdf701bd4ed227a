//! `restart` and `reload`.

use swift_records::state::State;

use super::start::{self, After};
use super::stop::{self, Then};
use crate::run::Run;
use crate::table;

/// Stops what runs and starts it again, each as soon as it has ended; starts what did not run as well.
/// True when all runs afterwards.
pub fn restart(run: &mut Run) -> anyhow::Result<bool> {
    let all: Vec<_> = run.table.indices().collect();
    for at in all {
        if table::may_be_started(&run.table[at]) {
            let row = run.table[at].clone();
            run.spawn(at, &row)?;
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
