//! What servers find around them: resource limits and environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use shared::catalogue::Limits;
use shared::pidfile::reason_of;
use shared::program::may_write_into;
use shared::sys::limits::{Resource, raise};

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

/// The environment of servers; none when it is that of this process.
pub fn environment() -> Option<Vec<Vec<u8>>> {
    if std::env::var_os(EGG_CACHE).is_some() {
        return None;
    }
    let folder = temporary_folder(|name| std::env::var_os(name))?;
    let mut all = own();
    all.push([EGG_CACHE.as_bytes(), b"=", folder.as_os_str().as_bytes()].concat());
    Some(all)
}

/// The environment of this process, as NAME=VALUE.
pub fn own() -> Vec<Vec<u8>> {
    let pair =
        |(name, value): (OsString, OsString)| [name.as_bytes(), b"=", value.as_bytes()].concat();
    std::env::vars_os().map(pair).collect()
}

/// The first folder for temporary files that can be written, in the order of
/// Python's tempfile.gettempdir.
fn temporary_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(variable);
    let named = named.filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp", "/usr/tmp", "."].map(PathBuf::from);
    let mut all = named
        .chain(usual)
        .filter_map(|f| std::path::absolute(f).ok());
    all.find(|folder| may_write_into(Path::new(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_can_be_written_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().as_os_str();
        let missing = folder.path().join("missing").into_os_string();
        let values = |name: &str| match name {
            "TMPDIR" => Some(missing.clone()),
            "TEMP" => Some(OsString::new()),
            "TMP" => Some(path.to_owned()),
            _ => None,
        };
        assert_eq!(temporary_folder(values), Some(folder.path().to_owned()));
        assert_eq!(temporary_folder(|_| None), Some("/tmp".into()));
    }
}
