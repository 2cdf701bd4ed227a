//! The stop of all servers of a unit, by the process that started them.

use std::time::Instant;

use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::epoll::deadline_in;

use super::stop;
use crate::actors::{Event, Role};
use crate::options::{Command, Options};
use crate::plan;
use crate::run::Run;

/// Stops the servers of these rows. When that is `graceful`, requests may come to their end for as
/// long as servers get to end, also those of workers whose server has ended already: systemd kills
/// what is left when this process ends. True when every server has ended.
pub fn stop(run: &mut Run, mut rows: Vec<Row>, graceful: bool) -> anyhow::Result<bool> {
    let deadline = deadline_in(plan::kill_wait(run.options, run.catalogue));
    // What was begun just now is stopped as well, and nothing more is begun.
    for (role, _, row) in run.halt_spawn()? {
        if role == Role::Spawn {
            add(&mut rows, row);
        }
    }
    let options = Options {
        command: Command::Stop,
        graceful,
        ..run.options.clone()
    };
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|row| row.with_state(State::Running))
        .collect();
    let done = rows.is_empty() || stop::stop_rows(run, &options, rows)?;
    run.actors.close(Role::Spawn);
    if done && graceful {
        drain(run, deadline)?;
    }
    Ok(done)
}

/// Takes in a row that swift-spawn wrote meanwhile.
fn add(rows: &mut Vec<Row>, row: Row) {
    match row.state {
        State::Started => {
            rows.retain(|known| known.id() != row.id());
            rows.push(row);
        }
        State::Finished | State::Failed => {
            rows.retain(|known| known.id() != row.id() || known.pid != row.pid);
        }
        _ => {}
    }
}

/// Waits until the last worker has ended: swift-spawn ends with it.
fn drain(run: &mut Run, deadline: Option<Instant>) -> anyhow::Result<()> {
    run.actors.forget_awaited();
    while run.actors.runs(Role::Spawn) {
        match run.next_event_before(deadline)? {
            Some(Event::Asked(_)) => break,
            Some(_) => {}
            None => {
                run.console
                    .error("requests are still under way after the kill wait: they are cut off");
                break;
            }
        }
    }
    Ok(())
}
