//! `no-daemon`: starts servers that keep the terminal, and stops them when it is over.

use std::collections::HashSet;

use swift_records::catalogue::Name;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::failpoint;
use swift_sys::session;
use swift_sys::signal::Signal;

use super::start::{self, After};
use super::stop;
use crate::actors::{Event, Role};
use crate::interrupt;
use crate::observe;
use crate::options::{Command, Options};
use crate::outcome;
use crate::run::Run;

/// Starts what does not run and stays while any of it runs, or until this process is asked to end: then
/// all is stopped.
pub fn foreground(run: &mut Run) -> anyhow::Result<bool> {
    let starting = start::announce(run, After::Observing);
    run.console.flush();
    run.console.progress.disable();
    for at in starting {
        run.spawn(at)?;
    }
    run.actors.close(Role::Spawn);
    let mut is_ready = false;
    loop {
        run.console.flush();
        // Of servers that keep their output nothing more is known than that they were started.
        if run.actors.has_begun(Role::Spawn) && !std::mem::replace(&mut is_ready, true) {
            run.console.systemd.ready("all servers were started");
        }
        match run.next_event()? {
            Some(Event::Row(_, at, row)) => outcome::spawned(run, at, &row),
            Some(Event::Asked(signal)) => return stop_all(run, signal),
            Some(Event::NoResult(_) | Event::End(_) | Event::Request) => {}
            // The kernel ends all with an init, and the servers would have no time to finish.
            None if session::is_init() && !run.actors.sound => {
                stop_all(run, Signal::TERM)?;
                return Ok(false);
            }
            None => return Ok(!run.has_failed()),
        }
    }
}

/// Stops all servers of the command, as a command of its own would.
fn stop_all(run: &mut Run, signal: Signal) -> anyhow::Result<bool> {
    if signal == Signal::INT {
        run.console.stdout.line("\nuser quit");
        run.console.flush();
    }
    failpoint::at("asked");
    // A server that is started after the observation below would not be found by it.
    for (_, at, row) in run.halt_spawn()? {
        if row.reason() == Some(Reason::Interrupted) {
            // It was not begun, as it was asked just now.
            run.replace(at, row);
        } else {
            outcome::spawned(run, at, &row);
        }
    }
    // What runs is stopped, also when its config was broken since it was started.
    let options = Options {
        command: Command::Stop,
        servers: installed(run),
        ..run.options.clone()
    };
    let mut rows = observe::run(&options, run.catalogue, &mut run.console)?;
    rows.iter_mut().for_each(|row| find_started(run, row));
    let done = stop::stop_rows(run, &options, rows)?;
    if done {
        // What was found is gone, so swift-spawn comes to its end as well, or has come to it before its
        // servers when it was asked to end too.
        run.actors.forget_awaited();
        while interrupt::next_event(run)?.is_some() {}
    }
    Ok(done)
}

/// The names of the command without those of which nothing was found: they were complained of.
fn installed(run: &Run) -> Vec<String> {
    let groups = run.table.groups.iter();
    let found: HashSet<&str> = groups.map(|group| group.server.name.as_ref()).collect();
    let words = run.options.servers.iter().map(String::as_str);
    let names = run.catalogue.select(words).names;
    let is_found = |name: &&Name| found.contains(name.server.as_str());
    names.iter().filter(is_found).map(Name::word).collect()
}

/// A server whose pid file was removed or overwritten still runs: this command started it and knows its
/// process, which is proven anew before its signal.
fn find_started(run: &Run, row: &mut Row) {
    let started = run.table.find(row).map(|at| &run.table[at]);
    let started = started.filter(|started| started.state == State::Started);
    if row.state == State::Stopped
        && let Some(started) = started
    {
        *row = started.clone().with_state(State::Running);
    }
}
