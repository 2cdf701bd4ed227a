//! The pid file that the environment names: swift-spawn writes it before it executes a server, and
//! its starter removes it. Where something else starts the server, as systemd does, the server keeps it
//! itself.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use swift_records::catalogue::Server;
use swift_records::instance::{Instance, PidPath};
use swift_server::pidfile::{self, Content, Finding};
use swift_server::process::tag::Environment;
use swift_server::process::{Pid, Process};
use swift_server::rundir::RunDir;
use swift_sys::error::reason_of;

use crate::environment;
use crate::log::Log;
use crate::options;
use crate::status;

/// The path of the pid file, if the environment names one.
fn path_from_env() -> anyhow::Result<Option<PidPath>> {
    let Some(path) = std::env::var_os(environment::PID_FILE).map(PathBuf::from) else {
        return Ok(None);
    };
    let run_dir = std::env::var_os(environment::RUN_DIR).map(PathBuf::from);
    let run_dir = run_dir
        .or_else(|| path.parent().map(Path::to_owned))
        .unwrap_or_default();
    let beneath = path
        .strip_prefix(&run_dir)
        .map_err(|_| anyhow!("{} is not beneath {}", path.display(), run_dir.display()))?
        .to_owned();
    Ok(Some(PidPath { run_dir, beneath }))
}

/// True when swift-spawn has started this process: it alone names the run directory.
fn is_starters() -> bool {
    std::env::var_os(environment::RUN_DIR).is_some()
}

/// Writes the pid file of a server that starts, unless its starter has done so. An error when it cannot
/// be written, or names a server of this config that lives.
pub fn begin(server: &options::Server) -> anyhow::Result<()> {
    let Some(pid_path) = path_from_env()?.filter(|_| !is_starters()) else {
        return Ok(());
    };
    let path = pid_path.run_dir.join(&pid_path.beneath);
    let failed = || format!("cannot write the pid file {}", path.display());
    let run_dir = RunDir::create(&pid_path.run_dir).with_context(failed)?;
    let _guard = run_dir.lock().with_context(failed)?;
    let look = pidfile::read(&run_dir, &pid_path.beneath);
    if look.content == Content::Number(Pid::own()) {
        return Ok(());
    }
    if let Content::Number(pid) = look.content
        && keeps(pid, &path)
    {
        bail!("{}: pid {pid} runs already: stop it first", path.display());
    }
    let command = server
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let name = command.strip_prefix("swift-").unwrap_or(&command);
    let instance = Instance {
        server: &Server {
            command: command.to_string().into(),
            ..Server::unlisted(name)
        },
        config: server.conf.as_deref().unwrap_or(Path::new("")),
        pid_path: &pid_path,
    };
    let path = path.display();
    match pidfile::verify(&look, &instance).with_context(|| format!("cannot read {path}"))? {
        Finding::Stopped(..) => {}
        Finding::Unreadable(why) => bail!("cannot read {path}: {why}"),
        Finding::Starting(pid) => bail!("{path}: {name} runs already, pid {pid}: stop it first"),
        Finding::Running { process, .. } | Finding::WrongConfig { process, .. } => {
            bail!(
                "{path}: {name} runs already, pid {}: stop it first",
                process.pid
            )
        }
    }
    pidfile::replace(&run_dir, &pid_path.beneath, Pid::own()).with_context(failed)
}

/// True when a process is a manager that was started with this pid file, whatever its command line is.
fn keeps(pid: Pid, path: &Path) -> bool {
    let environment = Environment::read(pid).ok().flatten();
    let named = environment
        .as_ref()
        .and_then(|one| one.value(environment::PID_FILE));
    named.is_some_and(|one| one.as_os_str() == path) && status::is_manager(pid)
}

/// Removes the pid file of a server that has ended, unless its starter does or it names another one.
pub fn end(log: Log) {
    if let Err(e) = remove() {
        let why = reason_of(&e);
        log.warn(&format!("cannot remove the pid file: {why}"));
    }
}

fn remove() -> anyhow::Result<()> {
    let Some(pid_path) = path_from_env()?.filter(|_| !is_starters()) else {
        return Ok(());
    };
    let Some(run_dir) = RunDir::open(&pid_path.run_dir)? else {
        return Ok(());
    };
    let _guard = run_dir.lock()?;
    pidfile::remove_if(&run_dir, &pid_path.beneath, &Content::Number(Pid::own()))?;
    Ok(())
}

/// The outcome of a take-over of a pid file.
pub enum Outcome {
    /// The pid file names this process, or there is none to be kept.
    Written,
    /// The pid file names another process, which lives.
    Others(Pid),
}

/// Writes this process's pid into the pid file in the place of a dead manager's, unless a server that was
/// started meanwhile has it.
pub fn take_over(dead: Pid) -> anyhow::Result<Outcome> {
    let Some(PidPath { run_dir, beneath }) = path_from_env()? else {
        return Ok(Outcome::Written);
    };
    let path = run_dir.join(&beneath);
    let run_dir =
        RunDir::open(&run_dir)?.ok_or_else(|| anyhow!("{}: not there", run_dir.display()))?;
    let _guard = run_dir.lock()?;
    let content = pidfile::read(&run_dir, &beneath).content;
    if let Content::Number(pid) = content
        && pid != dead
        && Process::open(pid)?.is_some_and(|one| !one.has_ended().unwrap_or(true))
    {
        return Ok(Outcome::Others(pid));
    }
    pidfile::replace(&run_dir, &beneath, Pid::own())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Outcome::Written)
}
