//! Configs beneath the swift directory.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use swift_records::catalogue::Server;
use swift_sys::error::reason_of;

/// A config that is a directory ends in this, and is not looked into.
const DIRECTORY: &[u8] = b".conf.d";
const FILE: &[u8] = b".conf";

/// A file's device and inode.
type FileId = (u64, u64);

/// All configs that the servers asked for could have, found in one scan.
#[derive(Debug, Default)]
pub struct Configs {
    /// Their paths beneath the swift directory, sorted by bytes.
    found: Vec<Config>,
    /// True when one file is there under two paths.
    aliases: bool,
    /// The directories that could not be read.
    pub unreadable: Vec<Unread>,
    /// True when there is no Swift directory.
    pub is_missing: bool,
}

/// A directory that could not be read.
#[derive(Debug)]
pub struct Unread {
    /// The directory.
    pub path: PathBuf,
    /// The error.
    pub error: io::Error,
}

impl Unread {
    /// `PATH: ERROR`, the path to the byte.
    pub fn text(&self) -> Vec<u8> {
        let error = format!(": {}", reason_of(&self.error));
        [self.path.as_os_str().as_bytes(), error.as_bytes()].concat()
    }
}

#[derive(Debug)]
struct Config {
    path: PathBuf,
    /// The file that the path leads to; none when it leads nowhere, or was not
    /// asked for.
    id: Option<FileId>,
}

impl Configs {
    /// Finds STEM*.conf, STEM*.conf.d/ and whatever ends so beneath STEM*/,
    /// for every stem. Links at the top are followed, those to directories
    /// further down are not (search_tree in Swift's utils does the same).
    pub fn scan(swift_dir: &Path, stems: &[&str]) -> Configs {
        let mut configs = Configs::default();
        let wanted = |name: &[u8]| stems.iter().any(|s| name.starts_with(s.as_bytes()));
        let mut hidden = Vec::new();
        let mut links = Vec::new();
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            let is_top = directory.as_os_str().is_empty();
            for (entry, path) in configs.read(swift_dir, &directory) {
                let name = path.as_os_str().as_bytes();
                if is_top && !wanted(name) {
                    continue;
                }
                if !is_directory(&entry) {
                    if name.ends_with(FILE) && !is_lock(&entry) {
                        configs.found.push(Config::new(path));
                    }
                } else if name.ends_with(DIRECTORY) {
                    configs.found.push(Config::new(path));
                } else if !is_top && is_link(&entry) {
                    links.push(path);
                } else {
                    if is_hidden(&path) {
                        hidden.push(path.clone());
                    }
                    directories.push(path);
                }
            }
        }
        configs.add_links_into(&hidden, &links, swift_dir);
        configs.finish(swift_dir);
        configs
    }

    /// Adds the paths through links to directories that were searched under a
    /// hidden name. Kubernetes makes such links of a ConfigMap's directories, to
    /// a hidden one whose name changes with each update.
    fn add_links_into(&mut self, hidden: &[PathBuf], links: &[PathBuf], swift_dir: &Path) {
        for link in links {
            let Some(id) = file_id(swift_dir, link) else {
                continue;
            };
            for directory in hidden.iter().filter(|d| file_id(swift_dir, d) == Some(id)) {
                let beneath =
                    |config: &Config| config.path.strip_prefix(directory).map(|p| link.join(p));
                let named: Vec<PathBuf> =
                    self.found.iter().filter_map(|c| beneath(c).ok()).collect();
                self.found.extend(named.into_iter().map(Config::new));
            }
        }
    }

    /// Puts what was found in order, and finds out whether two of it are one.
    fn finish(&mut self, swift_dir: &Path) {
        self.found
            .sort_unstable_by(|one, other| one.bytes().cmp(other.bytes()));
        if self.found.len() < 2 {
            return;
        }
        let mut seen = HashSet::with_capacity(self.found.len());
        for config in &mut self.found {
            config.id = file_id(swift_dir, &config.path);
            self.aliases |= config.id.is_some_and(|id| !seen.insert(id));
        }
    }

    /// The first directory that could not be read and in which configs of that
    /// server may lie.
    pub fn unread(&self, swift_dir: &Path, server: &Server) -> Option<&Unread> {
        self.unreadable.iter().find(|unread| {
            let beneath = unread.path.strip_prefix(swift_dir);
            let beneath = beneath.unwrap_or(Path::new("")).as_os_str().as_bytes();
            let is_its = |stem: &str| beneath.is_empty() || beneath.starts_with(stem.as_bytes());
            server.sources.iter().any(|source| is_its(&source.stem))
        })
    }

    /// The entries of a directory, with their paths beneath the swift directory.
    fn read(&mut self, swift_dir: &Path, directory: &Path) -> Vec<(DirEntry, PathBuf)> {
        let path = beneath(swift_dir, directory);
        let mut read = Vec::new();
        let result = fs::read_dir(&path).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                let path = directory.join(entry.file_name());
                read.push((entry, path));
            }
            Ok(())
        });
        match result {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.is_missing |= directory.as_os_str().is_empty();
            }
            Err(error) => self.unreadable.push(Unread { path, error }),
            Ok(()) => {}
        }
        read
    }

    /// The configs of that stem, sorted, each file once; with a name, only those
    /// beneath the directory STEM/ which are called exactly NAME.conf or
    /// NAME.conf.d.
    pub fn of(&self, stem: &str, name: Option<&str>) -> Vec<&Path> {
        let stem_bytes = stem.as_bytes();
        let from = self.found.partition_point(|c| c.bytes() < stem_bytes);
        let found = self.found[from..].iter();
        let found = found.take_while(|config| config.bytes().starts_with(stem_bytes));
        let mut found: Vec<&Config> = found.collect();
        if self.aliases {
            one_of_each(&mut found);
        }
        let paths = found.into_iter().map(|config| config.path.as_path());
        paths
            .filter(|path| name.is_none_or(|name| is_named(path, stem, name, [FILE, DIRECTORY])))
            .collect()
    }
}

impl Config {
    fn new(path: PathBuf) -> Config {
        Config { path, id: None }
    }

    /// Of two paths to one file, the lesser counts: no component begins with a
    /// dot, it is shorter, it comes first.
    fn rank(&self) -> (bool, usize, &[u8]) {
        let path = self.bytes();
        (is_hidden(&self.path), path.len(), path)
    }

    fn bytes(&self) -> &[u8] {
        self.path.as_os_str().as_bytes()
    }
}

/// Leaves one path to each file, and all that lead nowhere.
fn one_of_each(configs: &mut Vec<&Config>) {
    let mut ranked = configs.clone();
    ranked.sort_unstable_by_key(|config| config.rank());
    let mut seen = HashSet::with_capacity(ranked.len());
    ranked.retain(|config| config.id.is_some_and(|id| !seen.insert(id)));
    let others: HashSet<&Path> = ranked.iter().map(|config| config.path.as_path()).collect();
    configs.retain(|config| !others.contains(config.path.as_path()));
}

fn file_id(swift_dir: &Path, path: &Path) -> Option<FileId> {
    let status = fs::metadata(swift_dir.join(path)).ok()?;
    Some((status.dev(), status.ino()))
}

/// True when a part of the path begins with a dot.
fn is_hidden(path: &Path) -> bool {
    let dot = |part| matches!(part, Component::Normal(name) if name.as_bytes().starts_with(b"."));
    path.components().any(dot)
}

/// True for the lock of an editor: a hidden link that leads nowhere, as `.#1.conf` to
/// `USER@HOST.PID` while Emacs or joe edits 1.conf.
fn is_lock(entry: &DirEntry) -> bool {
    entry.file_name().as_bytes().starts_with(b".")
        && is_link(entry)
        && fs::metadata(entry.path()).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

fn is_link(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_symlink())
}

/// True for a path beneath that directory which has that name, with one of the endings.
pub fn is_named(path: &Path, directory: &str, name: &str, endings: [&[u8]; 2]) -> bool {
    let Some(last) = path.file_name() else {
        return false;
    };
    path.starts_with(directory)
        && last
            .as_bytes()
            .strip_prefix(name.as_bytes())
            .is_some_and(|ending| endings.contains(&ending))
}

/// True for a directory, and for a link to one.
fn is_directory(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()),
        kind => kind.is_ok_and(|kind| kind.is_dir()),
    }
}

/// A path beneath a directory, as it is shown: joined to the directory as it
/// was given, less slashes at its end.
pub fn beneath(directory: &Path, path: &Path) -> PathBuf {
    let directory = directory.components().as_path();
    match path.as_os_str().is_empty() {
        true => directory.to_owned(),
        false => directory.join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The configs that are found when these files (or directories, with a slash at the end) exist.
    fn found(paths: &[&str], stem: &str, name: Option<&str>) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for path in paths {
            let full = directory.path().join(path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            if path.ends_with('/') {
                fs::create_dir_all(full).unwrap();
            } else {
                fs::write(full, "").unwrap();
            }
        }
        list(directory.path(), stem, name)
    }

    fn list(directory: &Path, stem: &str, name: Option<&str>) -> Vec<String> {
        let configs = Configs::scan(directory, &[stem, "proxy-server"]);
        assert!(configs.unreadable.is_empty());
        let paths = configs.of(stem, name);
        paths.iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn files_directories_and_trees_are_found_in_the_order_of_their_bytes() {
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
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("1.conf"), "").unwrap();
        fs::create_dir(directory.path().join("object-server")).unwrap();
        for link in [
            "object-server-x",
            "object-server/deep",
            "object-server/4.conf.d",
        ] {
            symlink(elsewhere.path(), directory.path().join(link)).unwrap();
        }
        symlink("nowhere", directory.path().join("object-server/2.conf")).unwrap();
        symlink("nowhere", directory.path().join("object-server.conf")).unwrap();
        assert_eq!(
            list(directory.path(), "object-server", None),
            [
                "object-server-x/1.conf",
                "object-server.conf",
                "object-server/2.conf",
                "object-server/4.conf.d",
            ]
        );
    }

    #[test]
    fn locks_of_editors_are_no_configs() {
        let directory = tempfile::tempdir().unwrap();
        let server = directory.path().join("object-server");
        fs::create_dir(&server).unwrap();
        fs::write(server.join("1.conf"), "").unwrap();
        fs::write(server.join(".1.conf.swp"), "").unwrap();
        symlink("op@host.4711:1700000000", server.join(".#1.conf")).unwrap();
        symlink("1.conf", server.join(".2.conf")).unwrap();
        symlink("nowhere", server.join("3.conf")).unwrap();
        assert_eq!(
            list(directory.path(), "object-server", None),
            ["object-server/1.conf", "object-server/3.conf"]
        );
    }

    /// Lays out a ConfigMap with the keys 1.conf and sub/2.conf as Kubernetes does.
    fn config_map(server: &Path, version: &str) {
        let real = server.join(version);
        fs::create_dir_all(real.join("sub")).unwrap();
        fs::write(real.join("1.conf"), "").unwrap();
        fs::write(real.join("sub/2.conf"), "").unwrap();
        symlink(version, server.join("..data_tmp")).unwrap();
        fs::rename(server.join("..data_tmp"), server.join("..data")).unwrap();
    }

    #[test]
    fn a_config_map_has_each_config_once_and_under_its_own_name() {
        let directory = tempfile::tempdir().unwrap();
        let server = directory.path().join("object-server");
        let wanted = ["object-server/1.conf", "object-server/sub/2.conf"];
        config_map(&server, "..2024_01");
        symlink("..data/1.conf", server.join("1.conf")).unwrap();
        symlink("..data/sub", server.join("sub")).unwrap();
        assert_eq!(list(directory.path(), "object-server", None), wanted);
        assert_eq!(
            list(directory.path(), "object-server", Some("2")),
            wanted[1..]
        );
        config_map(&server, "..2024_02");
        fs::remove_dir_all(server.join("..2024_01")).unwrap();
        assert_eq!(list(directory.path(), "object-server", None), wanted);
    }

    #[test]
    fn of_two_names_of_one_file_the_shorter_counts() {
        let directory = tempfile::tempdir().unwrap();
        let server = directory.path().join("object-server");
        fs::create_dir_all(server.join("4.conf.d")).unwrap();
        fs::write(server.join("10.conf"), "").unwrap();
        fs::hard_link(server.join("10.conf"), server.join("2.conf")).unwrap();
        symlink("10.conf", server.join("3.conf")).unwrap();
        symlink("4.conf.d", server.join("40.conf.d")).unwrap();
        // What another server reads is its own.
        symlink(
            "object-server/2.conf",
            directory.path().join("proxy-server.conf"),
        )
        .unwrap();
        assert_eq!(
            list(directory.path(), "object-server", None),
            ["object-server/2.conf", "object-server/4.conf.d"]
        );
        assert_eq!(
            list(directory.path(), "proxy-server", None),
            ["proxy-server.conf"]
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
        assert_eq!(beneath(Path::new("/x/"), Path::new("")).as_os_str(), "/x");
    }
}
