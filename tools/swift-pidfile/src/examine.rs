//! One look at a row's pid file and process, and what follows from it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use swift_records::catalogue::Server;
use swift_records::instance::{Instance, pid_path};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::locks::Locks;
use swift_server::pidfile::{self, Content, Finding, Look};
use swift_server::process::Unit;
use swift_server::rundir::RunDir;
use swift_server::rundirs::RunDirs;
use swift_server::user;
use swift_sys::error::reason_of;
use swift_sys::failpoint;

use crate::options::Manner;

/// What a look came to.
pub struct Examined {
    /// The row as it is now.
    pub row: Row,
    /// What is to be said of it, when it is a failure.
    pub failure: Option<String>,
    /// Whether anybody may write into the pid file.
    pub world_writable: bool,
}

impl Examined {
    /// A row of which there is nothing to say.
    pub fn unchanged(row: Row) -> Examined {
        Examined {
            row,
            failure: None,
            world_writable: false,
        }
    }
}

/// What a look at a pid file and its process came to.
struct Seen {
    finding: Finding,
    world_writable: bool,
    content: Content,
    facts: Facts,
}

/// Of what runs, where it was wanted.
#[derive(Default)]
struct Facts {
    /// The start, in clock ticks since boot.
    start: Option<u64>,
    /// The unit that owns it.
    owner: Option<Unit>,
}

/// Looks at the pid file and at the process that it names, and removes a file
/// that lies where that is wanted. The error is for a bad line.
pub fn examine(
    row: Row,
    server: &Server,
    run_dirs: &mut RunDirs,
    locks: &Locks,
    manner: Manner,
) -> Result<Examined, String> {
    let pid_path = pid_path(server, &row)?;
    let config = row.config.clone().unwrap_or_default();
    let instance = Instance {
        server,
        config: &config,
        pid_path: &pid_path,
    };
    let look_at = |run_dir: &RunDir| {
        let look = pidfile::read(run_dir, &pid_path.beneath);
        let (finding, facts) = verify(&look, &instance, manner);
        Seen {
            finding,
            world_writable: look.world_writable,
            content: look.content,
            facts,
        }
    };
    let run_dir = match run_dirs.get(&pid_path.run_dir) {
        Ok(Some(run_dir)) => run_dir,
        Ok(None) => {
            return Ok(told(
                row,
                Finding::Stopped(Reason::Absent, None),
                Facts::default(),
            ));
        }
        Err(e) => {
            let finding = Finding::Unreadable(reason_of(&e));
            return Ok(told(row, finding, Facts::default()));
        }
    };
    let mut seen = look_at(&run_dir);
    let mut kept = None;
    if manner.clean && seen.finding.is_stale() {
        failpoint::at("lie-found");
        // What was seen without the lock may be the middle of somebody's start.
        match locks.take(&run_dir) {
            Ok(_guard) => {
                seen = look_at(&run_dir);
                if seen.finding.is_stale() {
                    let removed = pidfile::remove_if(&run_dir, &pid_path.beneath, &seen.content);
                    failpoint::at("lie-removed");
                    kept = removed.err().map(|e| reason_of(&e));
                }
            }
            Err(why) => kept = Some(why),
        }
    }
    let mut examined = told(row, seen.finding, seen.facts);
    examined.world_writable = seen.world_writable;
    if let Some(why) = kept {
        let detail = &mut examined.row.detail;
        detail.extend(format!(" cannot remove: {why}").bytes());
        examined.failure = Some(failure(&examined.row, "remove", &why));
    }
    Ok(examined)
}

/// What a pid file's content is worth, and what is known of what runs.
fn verify(look: &Look, instance: &Instance, manner: Manner) -> (Finding, Facts) {
    let verified = pidfile::verify(look, instance).and_then(|finding| {
        let mut facts = Facts::default();
        let (Finding::Running { process, .. } | Finding::WrongConfig { process, .. }) = &finding
        else {
            return Ok((finding, facts));
        };
        if manner.owned && matches!(finding, Finding::Running { .. }) {
            facts.owner = Unit::owner(process.pid)?;
        }
        if manner.start {
            facts.start = process.start()?;
            // It ended after it was proven.
            if facts.start.is_none() {
                let finding = Finding::Stopped(Reason::Stale, Some(process.pid));
                return Ok((finding, Facts::default()));
            }
        }
        Ok((finding, facts))
    });
    // A process that cannot be looked at may be the server, so its pid file is
    // neither cleaned away nor replaced.
    verified.unwrap_or_else(|e| {
        let why = format!("its process: {}", reason_of(&e));
        (Finding::Unreadable(why), Facts::default())
    })
}

/// The row with what was found.
fn told(mut row: Row, finding: Finding, facts: Facts) -> Examined {
    let orphan = was_orphan(&row);
    let ended = if orphan {
        State::Orphan
    } else {
        State::Stopped
    };
    let mut failed = None;
    (row.pid, row.start) = (None, None);
    let row = match finding {
        Finding::Stopped(reason, pid) => {
            row.pid = pid;
            row.with(ended, reason, b"")
        }
        Finding::Unreadable(why) => {
            failed = Some(failure(&row, "read", &why));
            row.with(ended, Reason::Unreadable, why.as_bytes())
        }
        Finding::Starting(pid) => {
            row.pid = Some(pid);
            alive(row, State::Starting, orphan)
        }
        Finding::WrongConfig { process, config } => {
            (row.pid, row.start) = (Some(process.pid), facts.start);
            failed = Some(pidfile::wrong_config(&row, process.pid, &config));
            row.with(
                State::WrongConfig,
                Reason::Config,
                config.as_os_str().as_bytes(),
            )
        }
        Finding::Running { process, permitted } => {
            (row.pid, row.start) = (Some(process.pid), facts.start);
            match (permitted, facts.owner, orphan) {
                (true, Some(unit), _) => row.with(
                    State::Owned,
                    Reason::Unit,
                    unit.words(user::own()).as_bytes(),
                ),
                (true, None, _) => alive(row, State::Running, orphan),
                // That it is an orphan outweighs why: it must never be started.
                (false, _, true) => row.with(State::Denied, Reason::Orphan, b"permission"),
                (false, _, false) => row.with(State::Denied, Reason::Permission, b""),
            }
        }
    };
    Examined {
        row,
        failure: failed,
        world_writable: false,
    }
}

/// Whether the row is one of an orphan. A row that was `wrong-config` or `owned`
/// does not say it, so the config is looked for.
fn was_orphan(row: &Row) -> bool {
    let config_is_gone = || row.config.as_deref().is_some_and(|config| !config.exists());
    let says_nothing = matches!(row.state, State::WrongConfig | State::Owned);
    row.is_orphan() || (says_nothing && config_is_gone())
}

fn alive(row: Row, state: State, orphan: bool) -> Row {
    if orphan {
        row.with(state, Reason::Orphan, b"")
    } else {
        row.with_state(state)
    }
}

fn failure(row: &Row, what: &str, why: &str) -> String {
    let path = row.pidfile.as_deref().unwrap_or(Path::new("-"));
    format!("cannot {what} {} ({}): {why}", path.display(), row.server)
}
