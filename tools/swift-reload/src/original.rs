//! The messages and exit statuses of Swift's own swift-reload, for one PID.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use swift_cli::{self as cli, Exit};
use swift_cli::{service, text};
use swift_records::catalogue::Catalogue;
use swift_records::reason::Reason;
use swift_records::state::State;
use swift_server::check::Checks;
use swift_server::process::Pid;
use swift_sys::error::reason_of;
use swift_sys::syslog::Severity;

use crate::failure::Failure;
use crate::options::TOOL;
use crate::repr;
use crate::target::{Mismatch, Target};

/// Proves the process of that pid; says why it cannot be reloaded.
pub fn prove(catalogue: &Catalogue, pid: i64) -> Option<Target> {
    let known = i32::try_from(pid).ok().and_then(Pid::new);
    match known.map_or(Err(Mismatch::Gone), |pid| Target::by_pid(catalogue, pid)) {
        Ok(target) => Some(target),
        Err(mismatch) => {
            complain(&refused(pid, &mismatch));
            if let Mismatch::Unknown(error) = &mismatch {
                TOOL.say(&format!("cannot inspect {pid}: {}", reason_of(error)));
            }
            None
        }
    }
}

/// Checks whose output goes where this process's own goes: the server's own words say what is bad about
/// its config, each on the stream that it chose.
pub fn relaying(checks: Checks) -> io::Result<Checks> {
    let output = |fd: BorrowedFd| fd.try_clone_to_owned().map(File::from);
    Ok(checks.relaying(output(io::stdout().as_fd())?, output(io::stderr().as_fd())?))
}

/// The reason why a process cannot be reloaded, in the original's words where
/// it has some.
fn refused(pid: i64, mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Gone | Mismatch::Unknown(_) => {
            format!("Failed to get process information for {pid}")
        }
        Mismatch::Foreign(line) => {
            let words: Vec<&[u8]> = line.args().map(|arg| arg.as_encoded_bytes()).collect();
            format!("Non-swift process: {}", repr::text(&words.join(&b' ')))
        }
        Mismatch::Unable(program) => format!("Process does not support config checks: {program}"),
        Mismatch::Worker(server, manager) => format!(
            "Process appears to be a {} worker, not a manager. Did you mean {manager}?",
            server.command
        ),
    }
}

/// Reports the failure of a reload, and returns its exit status.
pub fn failed(who: &str, program: &str, failure: &Failure) -> Exit {
    match (failure.state, failure.reason) {
        (State::Misconfigured, Reason::Exit(_)) => {
            // Its words, unless they were relayed.
            let words = String::from_utf8_lossy(&failure.text);
            words.lines().for_each(complain);
            complain("Failed to validate config");
        }
        (State::Misconfigured, _) | (_, Reason::Untested) => {
            TOOL.say(&failure.message(who));
            complain("Failed to validate config");
        }
        (_, Reason::Busy) => complain(&format!(
            "Could not bind notification socket: [Errno 98] Address already in use ({})",
            text::one_line(&failure.text)
        )),
        (_, Reason::Timeout) => {
            complain(&format!("Timed out reloading {program}"));
            return Exit::TimedOut;
        }
        _ => TOOL.say(&failure.message(who)),
    }
    Exit::Failed
}

/// A line on standard output, at once.
pub fn print(line: &str) -> anyhow::Result<()> {
    cli::print(&format!("{line}\n"))
}

/// A line of the original's on standard error, which does not begin with the
/// tool's name.
fn complain(line: &str) {
    // Nothing can be said when standard error is gone.
    let prefix = service::priority_prefix(Severity::LOG_ERR);
    let _ = io::stderr().write_all(format!("{prefix}{line}\n").as_bytes());
}
