//! What is started is found again: the search for configs and the one for pid files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use swift_records::catalogue::{Catalogue, Server};
use swift_records::instance::{config_file, pid_file};

use crate::cursor::Cursor;
use crate::folder::Folder;
use crate::tools::configs::Configs;
use crate::tools::pids::PidFiles;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let catalogue = Catalogue::load(Path::new("/nonexistent"));
    catalogue.expect("it is compiled in")
});

/// Parts of a path.
const PARTS: &[&str] = &[
    "object-server",
    "object-expirer",
    "container-reconciler",
    "proxy-server",
    ".conf",
    ".conf.d",
    "/",
    "..data",
    "..2024_01",
    "1.conf",
    ".pid",
    ".#1.conf",
    ".swift-spawn.new",
    "-server",
];

/// Whatever a config is called and wherever it lies, the pid file with which it is started is one that
/// the search for orphans finds, under its server, and that leads back to the config. And no file
/// counts as two configs of one server.
///
/// The input: the server, then names beneath the swift directory that NUL ends, each with a byte before
/// it: a file, a directory, or a link to what was made before.
///
/// Fails when the search for pid files leaves out hidden names, or those beneath hidden directories.
pub fn check(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let server = &CATALOGUE.servers[cursor.below(CATALOGUE.servers.len())];
    let (etc, run) = (Folder::new(), Folder::new());
    let mut made = Vec::new();
    for _ in 0..12 {
        let kind = cursor.below(4);
        let path = cursor.path(PARTS);
        if make(kind, &path, etc.path(), &made).is_some() {
            made.push(path);
        }
    }
    let stems: Vec<&str> = server.sources.iter().map(|s| s.stem.as_ref()).collect();
    let configs = Configs::scan(etc.path(), &stems);
    assert!(configs.unreadable.is_empty());
    for stem in stems {
        let found = configs.of(stem, None);
        let status = |path: &&Path| fs::metadata(etc.path().join(path)).ok();
        let files = found.iter().filter_map(status).map(|s| (s.dev(), s.ino()));
        let files: Vec<(u64, u64)> = files.collect();
        let once: BTreeSet<&(u64, u64)> = files.iter().collect();
        assert_eq!(once.len(), files.len(), "{found:?}");
        for config in found {
            is_found_again(server, stem, config, run.path());
        }
    }
}

fn is_found_again(server: &Server, stem: &str, config: &Path, run_dir: &Path) {
    let pid = pid_file(server, config).unwrap_or_else(|| panic!("{config:?} has no pid file"));
    let back = server.sources.iter();
    let back = back.filter_map(|source| config_file(server, &source.stem, &pid));
    assert!(
        back.collect::<Vec<_>>().iter().any(|c| c == config),
        "{stem}: {config:?}"
    );
    let path = run_dir.join(&pid);
    let made = fs::create_dir_all(path.parent().expect("it lies in a directory"));
    // A longer name than a file can have, or another pid file in the way: nothing is started then.
    if made.and_then(|()| fs::write(&path, "1")).is_err() {
        return;
    }
    let known: Vec<&str> = CATALOGUE.servers.iter().map(|s| s.name.as_ref()).collect();
    let pids = PidFiles::scan(run_dir, &[&server.name], &known);
    assert!(
        pids.of(&server.name).contains(&pid),
        "{pid:?} of {config:?}"
    );
}

/// Makes something of that name, if it is one beneath the directory.
fn make(kind: usize, path: &Path, etc: &Path, made: &[PathBuf]) -> Option<()> {
    let inside = |part| matches!(part, Component::Normal(_));
    if path.as_os_str().is_empty() || !path.components().all(inside) {
        return None;
    }
    let full = etc.join(path);
    if kind == 1 {
        return fs::create_dir_all(full).ok();
    }
    fs::create_dir_all(full.parent()?).ok()?;
    match (kind, made.last()) {
        (2, Some(last)) => symlink(etc.join(last), full).ok(),
        (3, Some(last)) => fs::hard_link(etc.join(last), full).ok(),
        _ => fs::write(full, "").ok(),
    }
}
