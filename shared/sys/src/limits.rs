//! Resource limits, which are raised and never lowered.

use std::io;

use nix::sys::resource::{RLIM_INFINITY, getrlimit, setrlimit};

pub use nix::sys::resource::Resource;

/// Raises a soft limit to at least `wanted`, and the hard one where that needs
/// it and is permitted. When the hard limit stays below, the soft one is raised
/// as far as it goes, and the error says that this was not enough.
pub fn raise(resource: Resource, wanted: u64) -> io::Result<()> {
    let (soft, hard) = getrlimit(resource)?;
    let enough = |limit: u64| limit == RLIM_INFINITY || limit >= wanted;
    if enough(soft) {
        return Ok(());
    }
    if enough(hard) {
        return Ok(setrlimit(resource, wanted, hard)?);
    }
    if let Err(error) = setrlimit(resource, wanted, wanted) {
        setrlimit(resource, hard, hard)?;
        return Err(error.into());
    }
    Ok(())
}

/// How many descriptors this process may have open.
pub fn descriptors() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// How long a file that this process writes may become, in bytes.
pub fn file_size() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_FSIZE)?.0)
}

/// How many descriptors this process may have open, after the soft limit was
/// raised to the hard one.
pub fn raise_descriptors() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
