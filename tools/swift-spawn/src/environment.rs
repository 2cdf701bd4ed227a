//! Resource limits and environment of servers.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use swift_cli::program::may_write_into;
use swift_cli::service;
use swift_records::catalogue::Limits;
use swift_records::instance::Instance;
use swift_server::process::tag;
use swift_sys::error::reason_of;
use swift_sys::limits::{Resource, raise};

/// Where Python unpacks programs, unless it is told; setup_env in manager.py
/// tells it.
const EGG_CACHE: &str = "PYTHON_EGG_CACHE";

/// Raises the limits that servers inherit; says what could not be raised.
pub fn raise_limits(limits: &Limits) -> Vec<String> {
    let all = [
        (Resource::RLIMIT_NOFILE, limits.files, "file descriptor"),
        (Resource::RLIMIT_DATA, limits.data, "memory"),
        (Resource::RLIMIT_NPROC, limits.processes, "process"),
    ];
    let failed = all.into_iter().filter_map(|(resource, wanted, name)| {
        let why = reason_of(&raise(resource, wanted).err()?);
        Some(format!("cannot raise the {name} limit to {wanted}: {why}"))
    });
    failed.collect()
}

/// The variables that tell a server what it is. Those of this process are
/// another one's: it may have been started by a server.
const OWN: [&str; 3] = [tag::PID_FILE, tag::CONFIG, RUN_DIR];

/// The directory under whose lock swift-serve changes its pid file.
const RUN_DIR: &str = "SWIFT_RUN_DIR";

/// The variables that all servers have in common, as NAME=VALUE.
pub fn common() -> Vec<Vec<u8>> {
    let is_own = |name: &OsStr| OWN.iter().any(|own| name == *own);
    let mut all = service::variables(|name| !is_own(name) && !service::is_of_one_process(name));
    if std::env::var_os(EGG_CACHE).is_none()
        && let Some(directory) = temporary_directory(|name| std::env::var_os(name))
    {
        all.push(pair(EGG_CACHE, directory));
    }
    all
}

/// The environment of one server: what all have in common, and its tag. Last,
/// since a program that changes its title writes over what comes first. A server
/// that swift-serve runs gets the run directory, too.
pub fn of(common: &[Vec<u8>], instance: &Instance) -> Vec<Vec<u8>> {
    let mut all = common.to_vec();
    if instance.server.serve {
        let run_dir = &instance.pid_path.run_dir;
        let run_dir = std::path::absolute(run_dir).unwrap_or_else(|_| run_dir.clone());
        all.push(pair(RUN_DIR, run_dir));
    }
    all.extend(tag::of(instance).map(|(name, value)| pair(name, value)));
    all
}

fn pair(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Vec<u8> {
    [name.as_ref().as_bytes(), b"=", value.as_ref().as_bytes()].concat()
}

/// The first directory for temporary files that can be written, in the order of
/// Python's tempfile.gettempdir.
fn temporary_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(variable);
    let named = named.filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp", "/usr/tmp", "."].map(PathBuf::from);
    let mut all = named
        .chain(usual)
        .filter_map(|f| std::path::absolute(f).ok());
    all.find(|directory| may_write_into(Path::new(directory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_that_can_be_written_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().as_os_str();
        let missing = directory.path().join("missing").into_os_string();
        let values = |name: &str| match name {
            "TMPDIR" => Some(missing.clone()),
            "TEMP" => Some(OsString::new()),
            "TMP" => Some(path.to_owned()),
            _ => None,
        };
        assert_eq!(
            temporary_directory(values),
            Some(directory.path().to_owned())
        );
        assert_eq!(temporary_directory(|_| None), Some("/tmp".into()));
    }
}
