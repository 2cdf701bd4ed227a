//! Starting servers that keep the terminal, and stopping them when it is over.

use std::collections::HashSet;
use std::os::fd::AsFd as _;

use swift_records::catalogue::Name;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::failpoint;
use swift_sys::signal::Signal;

use crate::act::{Event, Role};
use crate::group;
use crate::init;
use crate::observe;
use crate::options::{Command, Options};
use crate::plan;
use crate::progress::Progress;
use crate::session::Session;

/// The descriptors that swift-spawn hands on: it needs its own three for rows
/// and messages.
const HANDED_OVER: [(&str, &str); 3] = [
    ("--input-fd", "3"),
    ("--output-fd", "4"),
    ("--error-fd", "5"),
];

/// Starts what does not run and stays until all of it has ended, or until this
/// process is asked to end: then all is stopped.
pub fn start(session: &mut Session) -> anyhow::Result<bool> {
    let starting = session.announce_starts(true)?;
    session.voice.flush();
    session.act.leave_terminal();
    if !starting.is_empty() {
        let mut call = plan::spawn(session.options);
        call.arg("--quiet");
        call.arg("--keep-limits");
        HANDED_OVER
            .iter()
            .for_each(|(option, number)| call.value(option, number));
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let own = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        session.act.start(Role::Spawn, &call, true, &own)?;
        for place in starting {
            session.act.give(Role::Spawn, &session.to_start(place));
        }
        session.act.close(Role::Spawn);
    }
    let mut is_ready = false;
    loop {
        session.voice.flush();
        // Of servers that keep their output nothing more is known than that they were started.
        if session.act.has_begun(Role::Spawn) && !std::mem::replace(&mut is_ready, true) {
            session.act.systemd.ready("all servers were started");
        }
        match session.act.next()? {
            Some(Event::Row(_, row)) => session.spawned(row),
            Some(Event::Asked(signal)) => return stop(session, signal),
            Some(Event::Lost(_) | Event::End(_) | Event::Other) => {}
            // The kernel ends all with an init, and what lost its starter would
            // have no time to finish.
            None if init::is_init() && !session.act.sound => {
                stop(session, Signal::TERM)?;
                return Ok(false);
            }
            None => return Ok(!session.has_failed()),
        }
    }
}

/// Stops all servers of the command, as a command of its own would.
fn stop(session: &mut Session, signal: Signal) -> anyhow::Result<bool> {
    if signal == Signal::INT {
        session.voice.line("\nuser quit");
        session.voice.flush();
    }
    failpoint::at("asked");
    // What would be started after the look below would not be found by it.
    for (_, row) in session.act.halt(Role::Spawn)? {
        if row.reason() == Some(Reason::Interrupted) {
            // It was not begun, as it was asked just now.
            session.replace(&row);
        } else {
            session.spawned(row);
        }
    }
    // What runs is stopped, also when its config was broken since it was started.
    let options = Options {
        command: Command::Stop,
        servers: installed(session),
        ..session.options.clone()
    };
    let mut rows = observe::run(&options, session.catalogue, Progress::none())?;
    rows.iter_mut().for_each(|row| find_started(session, row));
    let words = options.servers.iter().map(String::as_str);
    let groups = group::gather(session.catalogue, &session.catalogue.select(words), rows);
    let voice = crate::voice::Voice::new();
    let mut stopping = Session::new(&options, session.catalogue, session.strict, groups, voice)?;
    // Requests that come before the stop was sent are the same as the first.
    stopping.act.ignore_requests(true);
    stopping.stop()?;
    stopping.voice.flush();
    let left = stopping.has_failed();
    if !left {
        // What was found is gone, so swift-spawn comes to its end as well, or
        // has come to it before its servers when it was asked to end too.
        session.act.forget_awaited();
        while session.next()?.is_some() {}
    }
    Ok(!left)
}

/// The names of the command without those of which nothing was found: they were complained of.
fn installed(session: &Session) -> Vec<String> {
    let groups = session.groups.iter();
    let found: HashSet<&str> = groups.map(|group| group.server.name.as_ref()).collect();
    let words = session.options.servers.iter().map(String::as_str);
    let names = session.catalogue.select(words).names;
    let names = names
        .iter()
        .filter(|name| found.contains(name.server.as_str()));
    names.map(Name::word).collect()
}

/// A server whose pid file somebody removed or overwrote still runs: of what this
/// command started, the process is known. It is proven anew before its signal.
fn find_started(session: &Session, row: &mut Row) {
    let groups = session.groups.iter().flat_map(|group| &group.rows);
    let is_it = |started: &&Row| started.state == State::Started && started.id() == row.id();
    if row.state == State::Stopped
        && let Some(started) = groups.into_iter().find(is_it)
    {
        *row = started.clone().with_state(State::Running);
    }
}
