//! The limits that servers are started with.

use anyhow::Context as _;
use nix::sys::resource::Resource;
use swift_records::catalogue::Limits;
use swift_server::pidfile;
use swift_sys::limits;

/// The open files that this process and the tools need at least, so that none
/// comes to its end in the middle of what it does.
const FILES_NEEDED: u64 = 32;

/// Sees to it that there can be as many open files as are needed.
pub fn need_files() -> anyhow::Result<()> {
    limits::raise(Resource::RLIMIT_NOFILE, FILES_NEEDED)
        .with_context(|| format!("cannot raise the limit of open files to {FILES_NEEDED}"))
}

/// Sees to it that a pid file can be written before anything is stopped in order
/// to be started again.
pub fn need_pid_files() -> anyhow::Result<()> {
    let size = limits::file_size().context("cannot read the limit of file sizes")?;
    if size < pidfile::MAX_SIZE as u64 {
        anyhow::bail!("cannot write pid files: the limit of file sizes is {size} bytes");
    }
    Ok(())
}

/// Raises this process's limits, which the servers inherit. What comes back is
/// what the original says of each that cannot be raised far enough.
pub fn raise_limits(wanted: &Limits) -> Vec<String> {
    [
        (Resource::RLIMIT_NOFILE, wanted.files, "file descriptor"),
        (Resource::RLIMIT_DATA, wanted.data, "memory"),
        (Resource::RLIMIT_NPROC, wanted.processes, "max process"),
    ]
    .into_iter()
    .filter(|(resource, least, _)| limits::raise(*resource, *least).is_err())
    .map(|(_, _, name)| format!("WARNING: Unable to modify {name} limit.  Running as non-root?"))
    .collect()
}
