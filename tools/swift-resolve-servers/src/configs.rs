//! Configs beneath the swift directory.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use shared::catalogue::Server;

/// A config that is a directory ends in this, and is not looked into.
const FOLDER: &[u8] = b".conf.d";
const FILE: &[u8] = b".conf";

/// All configs that the servers asked for could have, found in one scan.
#[derive(Debug, Default)]
pub struct Configs {
    /// Their paths beneath the swift directory, sorted by bytes.
    found: Vec<PathBuf>,
    /// The directories that could not be read, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

impl Configs {
    /// Finds STEM*.conf, STEM*.conf.d/ and whatever ends so beneath STEM*/,
    /// for every stem. Links at the top are followed, those to directories
    /// further down are not (search_tree in Swift's utils does the same).
    pub fn scan(swift_dir: &Path, stems: &[&str]) -> Configs {
        let mut configs = Configs::default();
        let mut folders = Vec::new();
        let wanted = |name: &[u8]| stems.iter().any(|s| name.starts_with(s.as_bytes()));
        configs.read(swift_dir, Path::new(""), |entry, path, found| {
            let name = path.as_os_str().as_bytes();
            if !wanted(name) {
                return;
            }
            if !is_folder(entry) {
                if name.ends_with(FILE) {
                    found.push(path);
                }
            } else if name.ends_with(FOLDER) {
                found.push(path);
            } else {
                folders.push(path);
            }
        });
        while let Some(folder) = folders.pop() {
            configs.read(swift_dir, &folder, |entry, path, found| {
                let name = path.as_os_str().as_bytes();
                if name.ends_with(FOLDER) {
                    if is_folder(entry) {
                        found.push(path);
                    }
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if name.ends_with(FILE) && !is_folder(entry) {
                    found.push(path);
                }
            });
        }
        let order = |one: &PathBuf, other: &PathBuf| one.as_os_str().cmp(other.as_os_str());
        configs.found.sort_unstable_by(order);
        configs
    }

    /// Whether a directory could not be read in which configs of that server lie.
    pub fn is_incomplete(&self, swift_dir: &Path, server: &Server) -> bool {
        let mut unread = self.unreadable.iter().map(|(path, _)| {
            let beneath = path.strip_prefix(swift_dir).unwrap_or(Path::new(""));
            beneath.as_os_str().as_bytes()
        });
        unread.any(|path| {
            let is_its = |stem: &str| path.is_empty() || path.starts_with(stem.as_bytes());
            server.sources.iter().any(|source| is_its(&source.stem))
        })
    }

    /// Hands each entry of a directory to `each`, with its path beneath the
    /// swift directory.
    fn read(
        &mut self,
        swift_dir: &Path,
        folder: &Path,
        mut each: impl FnMut(&DirEntry, PathBuf, &mut Vec<PathBuf>),
    ) {
        let path = swift_dir.join(folder);
        let found = &mut self.found;
        let result = fs::read_dir(&path).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                each(&entry, folder.join(entry.file_name()), found);
            }
            Ok(())
        });
        match result {
            Err(e) if e.kind() != io::ErrorKind::NotFound => self.unreadable.push((path, e)),
            _ => {}
        }
    }

    /// The configs of that stem, sorted; with a name, only those beneath the
    /// directory STEM/ which are called exactly NAME.conf or NAME.conf.d.
    pub fn of(&self, stem: &str, name: Option<&str>) -> Vec<&Path> {
        let from = self
            .found
            .partition_point(|path| path.as_os_str().as_bytes() < stem.as_bytes());
        self.found[from..]
            .iter()
            .map(PathBuf::as_path)
            .take_while(|path| path.as_os_str().as_bytes().starts_with(stem.as_bytes()))
            .filter(|path| name.is_none_or(|name| is_named(path, stem, name, [FILE, FOLDER])))
            .collect()
    }
}

/// Whether a path lies beneath that folder and has that name, with one of the endings.
pub fn is_named(path: &Path, folder: &str, name: &str, endings: [&[u8]; 2]) -> bool {
    let Some(last) = path.file_name() else {
        return false;
    };
    path.starts_with(folder)
        && last
            .as_bytes()
            .strip_prefix(name.as_bytes())
            .is_some_and(|ending| endings.contains(&ending))
}

/// Whether an entry is a directory, or a link to one.
fn is_folder(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

/// A path beneath a directory, as it is shown: joined to the directory as it
/// was given, less slashes at its end.
pub fn beneath(directory: &Path, path: &Path) -> PathBuf {
    let mut joined = directory.as_os_str().as_bytes().to_owned();
    while joined.len() > 1 && joined.ends_with(b"/") {
        joined.pop();
    }
    PathBuf::from(std::ffi::OsString::from_vec(joined)).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What is found when these files (or folders, with a slash at the end) exist.
    fn found(paths: &[&str], stem: &str, name: Option<&str>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let full = folder.path().join(path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            if path.ends_with('/') {
                fs::create_dir_all(full).unwrap();
            } else {
                fs::write(full, "").unwrap();
            }
        }
        list(folder.path(), stem, name)
    }

    fn list(folder: &Path, stem: &str, name: Option<&str>) -> Vec<String> {
        let configs = Configs::scan(folder, &[stem, "proxy-server"]);
        assert!(configs.unreadable.is_empty());
        let paths = configs.of(stem, name);
        paths.iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn files_folders_and_trees_are_found_in_the_order_of_their_bytes() {
        let paths = [
            "object-server/2.conf",
            "object-server/10.conf",
            "object-server/10.conf.bak",
            "object-server/.hidden.conf",
            "object-server/deep/er/3.conf",
            "object-server/4.conf.d/10.conf",
            "object-server.conf",
            "object-server-rep.conf.d/",
            "object-server-rep/1.conf",
            "object-server.conf.orig",
            "object-expirer.conf",
            "proxy-server.conf",
            "my-object-server.conf",
            ".object-server.conf",
        ];
        assert_eq!(
            found(&paths, "object-server", None),
            [
                "object-server-rep.conf.d",
                "object-server-rep/1.conf",
                "object-server.conf",
                "object-server/.hidden.conf",
                "object-server/10.conf",
                "object-server/2.conf",
                "object-server/4.conf.d",
                "object-server/deep/er/3.conf",
            ]
        );
    }

    #[test]
    fn a_name_is_exact() {
        let paths = [
            "object-server/1.conf",
            "object-server/11.conf",
            "object-server/a/1.conf.d/",
            "object-server-x/1.conf",
            "object-server.1.conf",
        ];
        assert_eq!(
            found(&paths, "object-server", Some("1")),
            ["object-server/1.conf", "object-server/a/1.conf.d"]
        );
    }

    #[test]
    fn links_are_followed_at_the_top_only() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("1.conf"), "").unwrap();
        fs::create_dir(folder.path().join("object-server")).unwrap();
        for link in [
            "object-server-x",
            "object-server/deep",
            "object-server/4.conf.d",
        ] {
            symlink(elsewhere.path(), folder.path().join(link)).unwrap();
        }
        symlink("nowhere", folder.path().join("object-server/2.conf")).unwrap();
        symlink("nowhere", folder.path().join("object-server.conf")).unwrap();
        assert_eq!(
            list(folder.path(), "object-server", None),
            [
                "object-server-x/1.conf",
                "object-server.conf",
                "object-server/2.conf",
                "object-server/4.conf.d",
            ]
        );
    }

    #[test]
    fn a_missing_directory_holds_nothing() {
        let configs = Configs::scan(Path::new("/nonexistent"), &["a"]);
        assert!(configs.of("a", None).is_empty() && configs.unreadable.is_empty());
    }

    #[test]
    fn paths_are_joined_as_given() {
        let joined = |directory: &str| beneath(Path::new(directory), Path::new("a.conf"));
        assert_eq!(joined("/etc/swift//").as_os_str(), "/etc/swift/a.conf");
        assert_eq!(joined("/").as_os_str(), "/a.conf");
        assert_eq!(joined("./x/").as_os_str(), "./x/a.conf");
    }
}
