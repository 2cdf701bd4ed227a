//! One row: the proof of its process, and the signal.

use std::io;

use swift_records::instance::RowInstance;
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::outcome::Outcome;
use swift_server::pidfile;
use swift_server::process::Process;
use swift_sys::error::reason_of;
use swift_sys::failpoint;
use swift_sys::signal::Signal;

/// Proves that a row's process is its server, started when the row says it was; or else says what
/// became of the row.
pub fn prove(target: &RowInstance) -> Result<Process, Box<Outcome>> {
    let row = &target.row;
    let unseen = |e| {
        let why = reason_of(&e);
        let message = cannot("look at", row, &why);
        let row = row.clone();
        Outcome::failed(
            row.with(State::Denied, Reason::Permission, why.as_bytes()),
            message,
        )
    };
    let stopped = |reason| Box::new(Outcome::stopped(row.clone(), reason));
    let pid = row.pid.ok_or_else(|| stopped(Reason::Absent))?;
    let proof = pidfile::prove(pid, &target.instance()).map_err(unseen)?;
    let process = proof.map_err(|finding| Outcome::of(row.clone(), finding, row.start, None))?;
    // Another start is that of the same server with the same config, started
    // after the row was written: it is not the process that was asked about.
    match row.start {
        Some(seen) if process.start().map_err(unseen)? != Some(seen) => Err(stopped(Reason::Stale)),
        _ => Ok(process),
    }
}

/// Signals a row's server and returns it, or its workers; or else says what became of the row.
pub fn signal(
    target: &RowInstance,
    signal: Signal,
    children: bool,
) -> Result<Process, Box<Outcome>> {
    let process = prove(target)?;
    failpoint::at("proven");
    let row = target.row.clone();
    let sent = match children {
        true => signal_children(&process, signal),
        false => process.signal(signal).map(|sent| sent.then_some(0)),
    };
    let outcome = match sent {
        Ok(Some(count)) if children => {
            let count = count.to_string();
            Outcome::from(row.with(State::Signalled, Reason::Children, count.as_bytes()))
        }
        Ok(Some(_)) => {
            failpoint::at("signalled");
            return Ok(process);
        }
        // Not to be inspected again: its pid may be another's already, even
        // that of the same server started anew.
        Ok(None) => Outcome::stopped(row, Reason::Stale),
        Err(e) => denied(row, &e),
    };
    Err(Box::new(outcome))
}

/// The number of workers that the signal has reached; none when their parent has ended.
fn signal_children(parent: &Process, signal: Signal) -> io::Result<Option<usize>> {
    let Some(children) = parent.children()? else {
        return Ok(None);
    };
    failpoint::at("children-proven");
    let mut count = 0;
    for child in children {
        count += usize::from(child.signal(signal)?);
    }
    Ok(Some(count))
}

/// The outcome of a signal that could not be sent.
pub fn denied(row: Row, error: &io::Error) -> Outcome {
    let message = cannot("signal", &row, &reason_of(error));
    Outcome::failed(Outcome::denied(row), message)
}

fn cannot(what: &str, row: &Row, why: &str) -> String {
    let pid = row.pid.map(|pid| pid.to_string()).unwrap_or_default();
    format!("cannot {what} {pid} ({}): {why}", row.server)
}
