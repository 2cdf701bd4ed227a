//! Pid files beneath the run directory.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use swift_server::rundir::RunDir;
use swift_sys::beneath::{self, Kind};

use crate::configs::{self, Unread};

/// The pid files that there are, for each server their paths beneath the run
/// directory.
#[derive(Debug, Default)]
pub struct PidFiles {
    found: HashMap<String, Vec<PathBuf>>,
    /// The directories that could not be read, with the server whose pid files lie there; none for
    /// those of all servers.
    pub unreadable: Vec<(Option<String>, Unread)>,
}

impl PidFiles {
    /// Finds the regular files SERVER*.pid and SERVER*.pid.d, and those beneath
    /// SERVER*/ that end so, for every server wanted. What begins with the name
    /// of more than one known server is the one's with the longest name.
    pub fn scan(run_dir: &Path, wanted: &[&str], known: &[&str]) -> PidFiles {
        let mut pids = PidFiles::default();
        match RunDir::open(run_dir) {
            Ok(Some(dir)) => pids.scan_open(&dir, wanted, known),
            Ok(None) => {}
            Err(error) => {
                let path = run_dir.into();
                pids.unreadable.push((None, Unread { path, error }));
            }
        }
        pids
    }

    /// The pid files of a server.
    pub fn of(&self, server: &str) -> &[PathBuf] {
        self.found.get(server).map_or(&[], Vec::as_slice)
    }

    /// The first directory that could not be read and in which pid files of that
    /// server may lie.
    pub fn unread(&self, server: &str) -> Option<&Unread> {
        let mut unreadable = self.unreadable.iter();
        let may_hold = |owner: &Option<String>| owner.as_ref().is_none_or(|name| name == server);
        unreadable.find_map(|(owner, unread)| may_hold(owner).then_some(unread))
    }

    fn scan_open(&mut self, run_dir: &RunDir, wanted: &[&str], known: &[&str]) {
        let owner = |name: &[u8]| {
            let names = known
                .iter()
                .filter(|server| name.starts_with(server.as_bytes()));
            let longest = names.copied().max_by_key(|server| server.len())?;
            wanted.contains(&longest).then(|| longest.to_owned())
        };
        // At the top, each name tells the server.
        let mut directories = vec![(None, PathBuf::new())];
        while let Some((server, directory)) = directories.pop() {
            let here = match directory.as_os_str().is_empty() {
                true => Path::new("."),
                false => &directory,
            };
            let found = &mut self.found;
            let result = beneath::open_dir(run_dir, here).and_then(|dir| {
                beneath::list(dir, |name, kind| {
                    let name = name.to_bytes();
                    let Some(server) = server.clone().or_else(|| owner(name)) else {
                        return;
                    };
                    let path = directory.join(OsStr::from_bytes(name));
                    match kind {
                        Kind::Directory => directories.push((Some(server), path)),
                        Kind::File if is_pid_file(name) => {
                            found.entry(server).or_default().push(path);
                        }
                        _ => {}
                    }
                })
            });
            match result {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let path = configs::beneath(run_dir.path(), &directory);
                    self.unreadable.push((server, Unread { path, error }));
                }
                _ => {}
            }
        }
    }
}

fn is_pid_file(name: &[u8]) -> bool {
    name.ends_with(b".pid") || name.ends_with(b".pid.d")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn directory_with(paths: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for path in paths {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "1").unwrap();
        }
        directory
    }

    fn sorted(pids: &PidFiles, server: &str) -> Vec<PathBuf> {
        let mut paths = pids.of(server).to_vec();
        paths.sort();
        paths
    }

    #[test]
    fn only_regular_files_that_end_in_pid_are_pid_files() {
        let directory = directory_with(&[
            "object-server.pid",
            "object-server.pid.d",
            "object-server/deep/1.pid",
            "object-server/.2.pid",
            "object-server/..2024_01/1.pid",
            "object-server/.swift-spawn.new",
            "object-server/3.pid.tmp",
            "object-server.log",
            "proxy-server.pid",
            ".object-server.pid",
        ]);
        fs::create_dir(directory.path().join("object-server-x.pid")).unwrap();
        symlink(
            "object-server.pid",
            directory.path().join("object-server-y.pid"),
        )
        .unwrap();
        symlink("/tmp", directory.path().join("object-server/link")).unwrap();
        let pids = PidFiles::scan(directory.path(), &["object-server"], &["object-server"]);
        assert_eq!(
            sorted(&pids, "object-server"),
            [
                "object-server/..2024_01/1.pid",
                "object-server/.2.pid",
                "object-server/deep/1.pid",
                "object-server.pid",
                "object-server.pid.d"
            ]
            .map(PathBuf::from)
        );
        assert!(pids.of("proxy-server").is_empty() && pids.unreadable.is_empty());
    }

    #[test]
    fn the_longest_name_has_the_pid_file() {
        let directory = directory_with(&["a-server.pid", "a-server-b.pid", "a-server-b/1.pid"]);
        let known = ["a-server", "a-server-b"];
        let pids = PidFiles::scan(directory.path(), &["a-server"], &known);
        assert_eq!(sorted(&pids, "a-server"), [PathBuf::from("a-server.pid")]);
        let pids = PidFiles::scan(directory.path(), &known, &known);
        assert_eq!(pids.of("a-server-b").len(), 2);
    }

    #[test]
    fn a_missing_directory_holds_nothing_and_a_file_is_none() {
        let pids = PidFiles::scan(Path::new("/nonexistent"), &["a"], &["a"]);
        assert!(pids.unreadable.is_empty());
        let pids = PidFiles::scan(Path::new("/dev/null"), &["a"], &["a"]);
        assert_eq!(pids.unreadable.len(), 1);
    }
}
