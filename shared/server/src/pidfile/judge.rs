//! The process that a pid file names, compared with the instance whose file it is.

use std::io;
use std::path::{Path, PathBuf};

use super::read::{Content, Look, read};
use crate::process::{Identity, Pid, Process, may_be_signalled_by};
use crate::rundir::RunDir;
use crate::user;
use swift_records::instance::{self, Instance, PidPath};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_sys::failpoint;

/// The state of a server according to its pid file.
#[derive(Debug)]
pub enum Finding {
    /// Nothing runs, for that reason; the pid is the one in the file.
    Stopped(Reason, Option<Pid>),
    /// The file is no pid file, or may not be read; the text says why. What runs is not known, so
    /// nothing may be started in its place.
    Unreadable(String),
    /// The process is being started.
    Starting(Pid),
    /// The process runs the server's program with another config. Its pid file
    /// is never removed or replaced: the config that was asked for may be the
    /// wrong one.
    WrongConfig {
        /// The process.
        process: Process,
        /// The config with which it runs.
        config: PathBuf,
    },
    /// The server runs, and was proven to be it.
    Running {
        /// The process.
        process: Process,
        /// True when it may be signalled.
        permitted: bool,
    },
}

impl Finding {
    /// True when the pid file is stale or invalid, and may be removed or replaced.
    pub fn is_stale(&self) -> bool {
        matches!(
            self,
            Finding::Stopped(Reason::Stale | Reason::Invalid | Reason::WrongProcess, _)
        )
    }

    /// The finding with the start of its process. A process that ended after it was proven has none, and
    /// its pid file is stale.
    pub fn with_start(self) -> io::Result<(Finding, Option<u64>)> {
        let (Finding::Running { process, .. } | Finding::WrongConfig { process, .. }) = &self
        else {
            return Ok((self, None));
        };
        Ok(match process.start()? {
            None => (Finding::Stopped(Reason::Stale, Some(process.pid)), None),
            start => (self, start),
        })
    }
}

/// Compares the process that a pid file names with the instance whose file it is.
pub fn verify(look: &Look, instance: &Instance) -> io::Result<Finding> {
    let pid = match &look.content {
        Content::Absent => return Ok(Finding::Stopped(Reason::Absent, None)),
        Content::Invalid => return Ok(Finding::Stopped(Reason::Invalid, None)),
        Content::Unreadable(why) => return Ok(Finding::Unreadable(why.clone())),
        Content::Number(pid) => *pid,
    };
    failpoint::at("pid-file-read");
    let process = match prove(pid, instance)? {
        Ok(process) => process,
        Err(finding) => return Ok(finding),
    };
    let foreign = foreign(look, pid)?;
    Ok(match (process.may_signal()?, foreign) {
        // It ended meanwhile, and what was seen may have been its successor.
        (None, _) => Finding::Stopped(Reason::Stale, Some(pid)),
        (Some(_), Some(why)) => Finding::Unreadable(why),
        (Some(permitted), None) => Finding::Running { process, permitted },
    })
}

/// Opens the process that has this pid now and proves that it is the server of an instance; or else the
/// finding, which is never [`Finding::Running`].
pub fn prove(pid: Pid, instance: &Instance) -> io::Result<Result<Process, Finding>> {
    let stopped = |reason| Ok(Err(Finding::Stopped(reason, Some(pid))));
    let Some(process) = Process::open(pid)? else {
        return stopped(Reason::Stale);
    };
    failpoint::at("process-opened");
    let identity = process.classify(instance)?;
    failpoint::at("process-classified");
    match identity {
        Identity::Gone => stopped(Reason::Stale),
        Identity::Mismatch => stopped(Reason::WrongProcess),
        Identity::Starting => Ok(Err(Finding::Starting(pid))),
        Identity::OtherConfig(config) => match mismatch(&process, &config, instance)? {
            Some(reason) => stopped(reason),
            None => Ok(Err(Finding::WrongConfig { process, config })),
        },
        Identity::Server | Identity::Tagged => Ok(Ok(process)),
    }
}

/// The reason why root must not act on what a pid file of another user names;
/// none when it may. The user of the run directory can write any pid, and root
/// may signal any process: so a user's pid file counts only for a process that
/// this user could signal as well, by the rule of kill(2). Root's own files
/// count for all, since it starts servers that change their user themselves.
fn foreign(look: &Look, pid: Pid) -> io::Result<Option<String>> {
    let Some(owner) = look.owner.filter(|owner| *owner != 0 && user::is_root()) else {
        return Ok(None);
    };
    Ok(match may_be_signalled_by(pid, owner)? {
        Some(false) => Some(format!(
            "user {owner}, whose file it is, may not signal {pid}"
        )),
        _ => None,
    })
}

/// The reason why a process that runs the server's program with another config
/// is none of this pid file's; none when the file may well mean it. A pid that
/// an old file kept and a sibling has by now is in the sibling's own pid file.
fn mismatch(process: &Process, config: &Path, instance: &Instance) -> io::Result<Option<Reason>> {
    let PidPath { run_dir, beneath } = instance.pid_path;
    let others = instance::pid_files(instance.server, config);
    let mut others = others.iter().filter(|path| *path != beneath);
    if let Some(run_dir) = RunDir::open(run_dir)?
        && others.any(|path| read(&run_dir, path).content == Content::Number(process.pid))
    {
        return Ok(Some(Reason::WrongProcess));
    }
    // What was seen may have been the process that has its pid now.
    Ok(process.has_ended()?.then_some(Reason::Stale))
}

/// The message about a row whose process runs its program with another config.
pub fn wrong_config(row: &Row, pid: Pid, other: &Path) -> String {
    let shown = |path: &Option<PathBuf>| path.as_deref().map(|path| path.display().to_string());
    format!(
        "{} ({}): {pid} runs with {}, not {}",
        shown(&row.pidfile).unwrap_or_default(),
        row.server,
        other.display(),
        shown(&row.config).unwrap_or_default(),
    )
}
