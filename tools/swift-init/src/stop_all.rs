//! The stop of all servers of a unit, by the process that started them.

use std::time::{Duration, Instant};

use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::epoll::deadline_in;

use crate::act::{Event, Role};
use crate::group;
use crate::options::{Command, Options};
use crate::report;
use crate::session::Session;
use crate::voice::Voice;

/// Stops the servers of these rows. When that is `graceful`, requests may come to their end for as
/// long as servers get to end, also those of workers whose server has ended already: systemd kills
/// what is left when this process ends. True when every server has ended.
pub fn stop(session: &mut Session, rows: Vec<Row>, graceful: bool) -> anyhow::Result<bool> {
    let kill_wait = match session.options.kill_wait {
        Some(seconds) => Duration::from_secs(seconds.max(0).unsigned_abs()),
        None => session.catalogue.kill_wait,
    };
    let deadline = deadline_in(kill_wait);
    let mut rows = rows;
    // What was begun just now is stopped as well, and nothing more is begun.
    for (role, row) in session.act.halt(Role::Spawn)? {
        if role == Role::Spawn {
            add(&mut rows, row);
        }
    }
    let done = rows.is_empty() || signal(session, rows, graceful)?;
    session.act.close(Role::Spawn);
    if done && graceful {
        drain(session, deadline)?;
    }
    Ok(done)
}

/// Takes in what swift-spawn has said meanwhile.
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

fn signal(session: &mut Session, rows: Vec<Row>, graceful: bool) -> anyhow::Result<bool> {
    let options = Options {
        command: Command::Stop,
        graceful,
        ..session.options.clone()
    };
    let rows = rows.into_iter().map(|row| row.with_state(State::Running));
    let words = options.servers.iter().map(String::as_str);
    let selection = session.catalogue.select(words);
    let groups = group::gather(session.catalogue, &selection, rows.collect());
    let (catalogue, strict) = (session.catalogue, session.strict);
    let mut stopping = Session::new(&options, catalogue, strict, groups, Voice::new())?;
    // Requests that come before the stop was sent are the same as the first.
    stopping.act.ignore_requests(true);
    stopping.stop()?;
    stopping.voice.flush();
    Ok(!stopping.has_failed())
}

/// Waits until the last worker has ended: swift-spawn ends with it.
fn drain(session: &mut Session, deadline: Option<Instant>) -> anyhow::Result<()> {
    session.act.forget_awaited();
    while session.act.runs(Role::Spawn) {
        match session.act.next_before(deadline)? {
            Some(Event::Asked(_)) => break,
            Some(_) => {}
            None => {
                report::say("requests are still under way after the kill wait: they are cut off");
                break;
            }
        }
    }
    Ok(())
}
