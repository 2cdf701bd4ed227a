//! Finding programs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The directories that are searched when PATH is not set, as Python's os.defpath says.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The directories in which programs are searched, in their order.
pub struct SearchPath(Vec<PathBuf>);

impl SearchPath {
    /// The PATH of this process.
    pub fn from_env() -> SearchPath {
        SearchPath::new(&std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH)))
    }

    /// A PATH's value. An empty part stands for the current directory, as execvp(3) has it.
    ///
    /// Every part is made absolute now: what is found runs on in another directory (Swift's servers
    /// change to /), and executes itself anew by the path that it was started with. When this
    /// process's own directory is gone, nothing can be found beneath it.
    pub fn new(path: &OsStr) -> SearchPath {
        let parts = path.as_bytes().split(|b| *b == b':');
        let absolute = |part: &[u8]| match part {
            b"" => std::env::current_dir().ok(),
            part => std::path::absolute(OsStr::from_bytes(part)).ok(),
        };
        SearchPath(parts.filter_map(absolute).collect())
    }

    /// Where the program lies: the first regular file of that name which this
    /// process may execute.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        if name.is_empty() || name.contains('/') {
            return None;
        }
        self.0
            .iter()
            .map(|directory| directory.join(name))
            .find(|path| is_executable(path))
    }
}

/// True when a path leads to a program that this process may execute.
pub fn is_executable(path: &Path) -> bool {
    // The mode is looked at before access(2) is asked, since root may execute
    // whatever anybody may.
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

/// True when this process may make files in a directory.
pub fn may_write_into(directory: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    directory.is_dir() && access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// The sibling of the running program, when it lies in the same directory, or
/// else what PATH leads to.
pub fn sibling_program(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|me| Some(me.parent()?.join(name)));
    beside
        .filter(|path| is_executable(path))
        .or_else(|| SearchPath::from_env().find(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executable_files_are_programs() {
        let directory = tempfile::tempdir().unwrap();
        let path = SearchPath::new(directory.path().as_os_str());
        fs::create_dir(directory.path().join("swift-dir")).unwrap();
        fs::write(directory.path().join("swift-a"), "").unwrap();
        assert_eq!(path.find("swift-a"), None);
        assert_eq!(path.find("swift-dir"), None);
        fs::set_permissions(
            directory.path().join("swift-a"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        assert_eq!(path.find("swift-a"), Some(directory.path().join("swift-a")));
        assert_eq!(path.find("../swift-a"), None);
    }

    #[test]
    fn what_is_found_is_absolute() {
        let path = SearchPath::new(OsStr::new("bin::/usr/bin"));
        assert!(path.0.iter().all(|part| part.is_absolute()));
        assert_eq!(path.0[0], std::env::current_dir().unwrap().join("bin"));
        assert_eq!(path.0[1], std::env::current_dir().unwrap());
    }

    #[test]
    fn only_directories_can_be_written_into() {
        let directory = tempfile::tempdir().unwrap();
        assert!(may_write_into(directory.path()));
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(!may_write_into(&file));
        assert!(!may_write_into(&directory.path().join("missing")));
    }
}
