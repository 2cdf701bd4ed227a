//! One row: prove the process, signal it, and say what came of it.

use std::io;
use std::os::unix::ffi::OsStrExt as _;

use swift_records::instance::Instance;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::pidfile;
use swift_server::process::{Identity, Process};
use swift_sys::error::reason_of;
use swift_sys::failpoint;
use swift_sys::signal::Signal;

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
pub fn prove(row: Row, instance: &Instance) -> Proof {
    let Some(pid) = row.pid else {
        return Proof::Row(row.with(State::Stopped, Reason::Absent, b""));
    };
    let looked = Process::open(pid).and_then(|process| match process {
        None => Ok(None),
        Some(process) => {
            failpoint::at("process-opened");
            process
                .classify(instance)
                .map(|identity| Some((process, identity)))
        }
    });
    let stopped = |reason| Proof::Row(stopped(row.clone(), reason));
    match looked {
        Ok(None | Some((_, Identity::Gone))) => stopped(Reason::Stale),
        Ok(Some((_, Identity::Mismatch))) => stopped(Reason::WrongProcess),
        Ok(Some((process, Identity::OtherConfig(other)))) => {
            match pidfile::mismatch(&process, &other, instance) {
                Ok(Some(reason)) => stopped(reason),
                Ok(None) => {
                    let what = pidfile::wrong_config(&row, process.pid, &other);
                    let other = other.as_os_str().as_bytes();
                    Proof::Failure(row.with(State::WrongConfig, Reason::Config, other), what)
                }
                Err(e) => unseen(row.clone(), &e),
            }
        }
        Ok(Some((_, Identity::Starting))) => Proof::Row(row.with_state(State::Starting)),
        // Another start is that of the same server with the same config, started
        // after the row was written: it is not the process that was asked about.
        Ok(Some((process, Identity::Server))) => {
            match row.start.map(|seen| (seen, process.start())) {
                None => Proof::Process(process),
                Some((seen, Ok(Some(start)))) if seen == start => Proof::Process(process),
                Some((_, Ok(_))) => stopped(Reason::Stale),
                Some((_, Err(e))) => unseen(row.clone(), &e),
            }
        }
        Err(e) => unseen(row.clone(), &e),
    }
}

/// The row of a process that cannot be looked at.
fn unseen(row: Row, error: &io::Error) -> Proof {
    let why = reason_of(error);
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let what = format!("cannot look at {pid} ({}): {why}", row.server);
    let row = row.with(State::Denied, Reason::Permission, why.as_bytes());
    Proof::Failure(row, what)
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
pub fn signal(row: Row, instance: &Instance, signal: Signal, children: bool) -> Done {
    let process = match prove(row.clone(), instance) {
        Proof::Process(process) => process,
        Proof::Row(row) => return Done::Row(row),
        Proof::Failure(row, what) => return Done::Failure(row, what),
    };
    failpoint::at("proven");
    if children {
        return signal_children(row, &process, signal);
    }
    match process.signal(signal) {
        Ok(true) => {
            failpoint::at("signalled");
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
    failpoint::at("children-proven");
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
