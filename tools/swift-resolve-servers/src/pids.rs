//! Pid files beneath the run directory.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use swift_server::rundir::RunDir;
use swift_sys::beneath::{self, Kind};

use super::configs;

/// The pid files that there are, for each server their paths beneath the run
/// directory.
#[derive(Debug, Default)]
pub struct PidFiles {
    found: HashMap<String, Vec<PathBuf>>,
    /// The directories that could not be read, and why.
    pub unreadable: Vec<Unread>,
}

/// A directory that could not be read.
#[derive(Debug)]
pub struct Unread {
    /// The directory.
    pub path: PathBuf,
    /// Why it could not be read.
    pub error: io::Error,
    /// The server whose pid files lie there; none for those of all servers.
    server: Option<String>,
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
            Err(error) => pids.unreadable.push(Unread {
                path: run_dir.into(),
                error,
                server: None,
            }),
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
        let may_hold = |unread: &&Unread| unread.server.as_ref().is_none_or(|s| s == server);
        self.unreadable.iter().find(may_hold)
    }

    fn scan_open(&mut self, run_dir: &RunDir, wanted: &[&str], known: &[&str]) {
        let owner = |name: &[u8]| {
            let names = known
                .iter()
                .filter(|server| name.starts_with(server.as_bytes()));
            let longest = names.copied().max_by_key(|server| server.len())?;
            wanted.contains(&longest).then(|| longest.to_owned())
        };
        let mut folders = Vec::new();
        self.list(run_dir, Path::new(""), None, |name, kind, found| {
            let Some(server) = owner(name.as_bytes()) else {
                return;
            };
            match kind {
                Kind::Directory => folders.push((server, PathBuf::from(name))),
                Kind::File if is_pid_file(name) => {
                    found.entry(server).or_default().push(name.into())
                }
                _ => {}
            }
        });
        while let Some((server, folder)) = folders.pop() {
            let of_server = Some(server.as_str());
            self.list(
                run_dir,
                &folder,
                of_server,
                |name, kind, found| match kind {
                    Kind::Directory => folders.push((server.clone(), folder.join(name))),
                    Kind::File if is_pid_file(name) => found
                        .entry(server.clone())
                        .or_default()
                        .push(folder.join(name)),
                    _ => {}
                },
            );
        }
    }

    fn list(
        &mut self,
        run_dir: &RunDir,
        folder: &Path,
        server: Option<&str>,
        mut each: impl FnMut(&OsStr, Kind, &mut HashMap<String, Vec<PathBuf>>),
    ) {
        let here = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let found = &mut self.found;
        let result = beneath::open_dir(run_dir, here).and_then(|dir| {
            beneath::list(dir, |name, kind| {
                each(OsStr::from_bytes(name.to_bytes()), kind, found);
            })
        });
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.unreadable.push(Unread {
                    path: configs::beneath(run_dir.path(), folder),
                    error,
                    server: server.map(str::to_owned),
                });
            }
            _ => {}
        }
    }
}

fn is_pid_file(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".pid") || name.ends_with(b".pid.d")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn folder_with(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "1").unwrap();
        }
        folder
    }

    fn sorted(pids: &PidFiles, server: &str) -> Vec<PathBuf> {
        let mut paths = pids.of(server).to_vec();
        paths.sort();
        paths
    }

    #[test]
    fn only_regular_files_that_end_in_pid_are_pid_files() {
        let folder = folder_with(&[
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
        fs::create_dir(folder.path().join("object-server-x.pid")).unwrap();
        symlink(
            "object-server.pid",
            folder.path().join("object-server-y.pid"),
        )
        .unwrap();
        symlink("/tmp", folder.path().join("object-server/link")).unwrap();
        let pids = PidFiles::scan(folder.path(), &["object-server"], &["object-server"]);
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
        let folder = folder_with(&["a-server.pid", "a-server-b.pid", "a-server-b/1.pid"]);
        let known = ["a-server", "a-server-b"];
        let pids = PidFiles::scan(folder.path(), &["a-server"], &known);
        assert_eq!(sorted(&pids, "a-server"), [PathBuf::from("a-server.pid")]);
        let pids = PidFiles::scan(folder.path(), &known, &known);
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
