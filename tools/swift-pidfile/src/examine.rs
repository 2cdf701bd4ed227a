//! The examination of a row's pid file and process, and what follows from it.

use std::path::Path;

use swift_records::catalogue::Server;
use swift_records::instance::{Instance, pid_path};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_server::outcome::Outcome;
use swift_server::pidfile::{self, Finding, Look};
use swift_server::process::Unit;
use swift_server::rundir::{Locks, RunDir, RunDirs};
use swift_sys::error::reason_of;
use swift_sys::failpoint;

use crate::options::Mode;

/// A row that was examined, and true when anybody may write into its pid file.
pub type Examined = (Outcome, bool);

/// A verified pid file: the start of its process, and the unit that owns that, where wanted.
type Verified = (Finding, Option<u64>, Option<Unit>);

/// Examines the pid file and the process that it names, and removes a file
/// that is stale or invalid where that is wanted. The error is for a bad line.
pub fn examine(
    row: Row,
    server: &Server,
    run_dirs: &mut RunDirs,
    locks: &Locks,
    mode: Mode,
) -> Result<Examined, String> {
    let pid_path = pid_path(server, &row)?;
    let config = row.config.clone().unwrap_or_default();
    let instance = Instance {
        server,
        config: &config,
        pid_path: &pid_path,
    };
    let inspect = |run_dir: &RunDir| {
        let file = pidfile::read(run_dir, &pid_path.beneath);
        let verified = verify(&file, &instance, mode);
        (file, verified)
    };
    let run_dir = run_dirs.get(&pid_path.run_dir);
    let run_dir = run_dir.map_err(|e| Finding::Unreadable(reason_of(&e)));
    let absent = || Finding::Stopped(Reason::Absent, None);
    let run_dir = match run_dir.and_then(|run_dir| run_dir.ok_or_else(absent)) {
        Ok(run_dir) => run_dir,
        Err(finding) => return Ok((Outcome::of(row, finding, None, None), false)),
    };
    let (mut file, mut verified) = inspect(run_dir);
    let mut kept = None;
    if mode.clean && verified.0.is_stale() {
        failpoint::at("stale-found");
        // What was seen without the lock may be the middle of a start.
        match locks.take(run_dir) {
            Ok(_guard) => {
                (file, verified) = inspect(run_dir);
                if verified.0.is_stale() {
                    let removed = pidfile::remove_if(run_dir, &pid_path.beneath, &file.content);
                    failpoint::at("stale-removed");
                    kept = removed.err().map(|e| reason_of(&e));
                }
            }
            Err(why) => kept = Some(why),
        }
    }
    let (finding, start, owner) = verified;
    let mut outcome = Outcome::of(row, finding, start, owner);
    if let Some(why) = kept {
        let row = outcome.row.with_kept(&why);
        let path = row.pidfile.as_deref().unwrap_or(Path::new("-")).display();
        let message = format!("cannot remove {path} ({}): {why}", row.server);
        outcome = Outcome::failed(row, message);
    }
    Ok((outcome, file.world_writable))
}

/// Verifies a pid file's content, and finds out the facts of what runs.
fn verify(file: &Look, instance: &Instance, mode: Mode) -> Verified {
    let verified = pidfile::verify(file, instance).and_then(|finding| {
        let owner = match &finding {
            Finding::Running { process, .. } if mode.owned => Unit::owner(process.pid)?,
            _ => None,
        };
        let (finding, start) = match mode.no_start {
            true => (finding, None),
            false => finding.with_start()?,
        };
        Ok((finding, start, owner))
    });
    // A process that cannot be inspected may be the server, so its pid file is
    // neither cleaned away nor replaced.
    verified.unwrap_or_else(|e| {
        let why = format!("its process: {}", reason_of(&e));
        (Finding::Unreadable(why), None, None)
    })
}
