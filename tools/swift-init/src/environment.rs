//! The limits that servers are started with.

use nix::sys::resource::Resource;
use shared::catalogue::Limits;
use shared::sys::limits;

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
