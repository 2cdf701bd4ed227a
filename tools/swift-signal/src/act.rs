//! One row: prove the process, signal it, and say what came of it.

use std::io;
use std::path::Path;

use shared::catalogue::Server;
use shared::faults;
use shared::pidfile::{self, reason_of};
use shared::process::{Process, Sight};
use shared::reason::Reason;
use shared::row::Row;
use shared::rundirs::RunDirs;
use shared::signals::Signal;
use shared::state::State;

/// What came of a row.
pub enum Done {
    /// Nothing more is to be done for it.
    Row(Row),
    /// Nothing more is to be done, and it is a failure: what is said of it.
    Failure(Row, String),
    /// It was signalled, and is the server of the row.
    Signalled(Row, Process),
}

/// The process that a row means, proven to be its server now.
pub enum Proof {
    /// This one.
    Process(Process),
    /// There is none: what the row says instead.
    Row(Row),
    /// It cannot be found out.
    Failure(Row, String),
}

/// Proves a row's process: opened first, looked at then, and started when the
/// row says it was.
pub fn prove(row: Row, server: &Server, config: &Path) -> Proof {
    let Some(pid) = row.pid else {
        return Proof::Row(row.with(State::Stopped, Reason::Absent, b""));
    };
    let looked = Process::open(pid).and_then(|process| match process {
        None => Ok(None),
        Some(process) => {
            faults::at("process-opened");
            process
                .look(server, config)
                .map(|sight| Some((process, sight)))
        }
    });
    let stopped = |reason| Proof::Row(stopped(row.clone(), reason));
    match looked {
        Ok(None | Some((_, Sight::Gone))) => stopped(Reason::Stale),
        Ok(Some((_, Sight::Stranger))) => stopped(Reason::WrongProcess),
        Ok(Some((_, Sight::Starting))) => Proof::Row(row.plain(State::Starting)),
        Ok(Some((process, Sight::Server { start }))) => {
            if row.start.is_none_or(|seen| seen == start) {
                Proof::Process(process)
            } else {
                // The same server with the same config, started after the row
                // was written: it is not the process that was asked about.
                stopped(Reason::Stale)
            }
        }
        Err(e) => {
            let why = reason_of(&e);
            let what = format!("cannot look at {pid} ({}): {why}", row.server);
            Proof::Failure(
                row.with(State::Denied, Reason::Permission, why.as_bytes()),
                what,
            )
        }
    }
}

/// The row of what does not run, for that reason.
fn stopped(row: Row, reason: Reason) -> Row {
    let state = if row.is_orphan() {
        State::Orphan
    } else {
        State::Stopped
    };
    Row { start: None, ..row }.with(state, reason, b"")
}

/// Signals a row's server, or its workers.
pub fn signal(row: Row, server: &Server, config: &Path, signal: Signal, children: bool) -> Done {
    let process = match prove(row.clone(), server, config) {
        Proof::Process(process) => process,
        Proof::Row(row) => return Done::Row(row),
        Proof::Failure(row, what) => return Done::Failure(row, what),
    };
    faults::at("proven");
    if children {
        return signal_children(row, &process, signal);
    }
    match process.signal(signal) {
        Ok(true) => {
            faults::at("signalled");
            Done::Signalled(row, process)
        }
        // Not to be looked at again: its number may be another's already, even
        // that of the same server started anew.
        Ok(false) => Done::Row(stopped(row, Reason::Stale)),
        Err(e) => denied(row, &e),
    }
}

fn signal_children(row: Row, parent: &Process, signal: Signal) -> Done {
    let mut count = 0;
    let children = match parent.children() {
        Ok(Some(children)) => children,
        Ok(None) => return Done::Row(stopped(row, Reason::Stale)),
        Err(e) => return denied(row, &e),
    };
    for child in children {
        match child.signal(signal) {
            Ok(reached) => count += u32::from(reached),
            Err(e) => return denied(row, &e),
        }
    }
    Done::Row(row.with(
        State::Signalled,
        Reason::Children,
        count.to_string().as_bytes(),
    ))
}

/// The row and the message for a signal that could not be sent.
pub fn denied(row: Row, error: &io::Error) -> Done {
    let why = reason_of(error);
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let what = format!("cannot signal {pid} ({}): {why}", row.server);
    let row = if row.is_orphan() {
        row.with(State::Denied, Reason::Orphan, b"permission")
    } else {
        row.with(State::Denied, Reason::Permission, b"")
    };
    Done::Failure(row, what)
}

/// The row of a process that has ended, in the state that tells how, after its
/// pid file was removed; the reason is why there was nothing to signal.
pub fn ended(
    row: Row,
    state: State,
    reason: Option<Reason>,
    server: &Server,
    dirs: &mut RunDirs,
) -> Done {
    let orphan = row.is_orphan();
    faults::at("ended");
    let removed = remove_pid_file(&row, server, dirs);
    faults::at("removed");
    let row = Row { start: None, ..row };
    let state = if orphan { State::Orphan } else { state };
    match removed {
        Ok(()) => Done::Row(match reason {
            None => row.plain(state),
            Some(reason) => row.with(state, reason, b""),
        }),
        Err(e) => {
            let why = format!("cannot remove: {e:#}");
            let path = row.pidfile.as_deref().unwrap_or(Path::new("")).display();
            let what = format!("cannot remove {path}: {e:#}");
            Done::Failure(row.with(state, Reason::Stale, why.as_bytes()), what)
        }
    }
}

/// Removes the row's pid file, unless it stands for a process that runs: the
/// server may have been started again meanwhile.
fn remove_pid_file(row: &Row, server: &Server, dirs: &mut RunDirs) -> anyhow::Result<()> {
    let place = shared::instance::place(server, row).map_err(anyhow::Error::msg)?;
    let Some(run_dir) = dirs.get(&place.run_dir)? else {
        return Ok(());
    };
    let config = row
        .config
        .as_deref()
        .expect("a row with a place has a config");
    let _guard = run_dir.lock()?;
    match pidfile::remove_if_it_lies(&run_dir, &place.beneath, server, config) {
        Ok(_) => Ok(()),
        Err(e) => Err(anyhow::anyhow!(reason_of(&e))),
    }
}
