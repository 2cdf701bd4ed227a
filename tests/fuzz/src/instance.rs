//! From a config to its pid file and back.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use swift_records::catalogue::{Catalogue, Server};
use swift_records::instance::{PidPath, config_file, others, pid_file, pid_path};
use swift_records::row::Row;
use swift_records::state::State;

use crate::cursor::Cursor;

static SERVERS: LazyLock<Vec<Server>> = LazyLock::new(|| {
    let catalogue = Catalogue::load(Path::new("/nonexistent")).expect("it is compiled in");
    let named = [
        "object-server",
        "object-expirer",
        "object-replicator",
        "container-reconciler",
    ];
    let mut servers: Vec<Server> = named.map(|name| catalogue.server(name)).into();
    servers.push(Server::unlisted("a"));
    servers.push(Server::unlisted("-"));
    servers
});

/// Parts of a path.
const PARTS: &[&str] = &[
    "object-server",
    "object-expirer",
    "a-server",
    ".conf",
    ".conf.d",
    ".pid",
    ".pid.d",
    "..",
    ".",
    "",
    "etc",
    "1",
    "object-server.conf",
    "container-reconciler.conf",
    "-server",
    "object-replicator",
];

/// What swift-resolve-servers makes of a config leads back to it: the run directory and the path
/// beneath it are found in the row, and the config in the pid file. And whatever a row says, the run
/// directory and what is beneath it make up its pid file, which leads nowhere else.
///
/// The input: the server, then parts of the config's path, of the swift and of the run directory, and
/// for another row, of any pid file.
///
/// Fails when `place` takes the pid file's own folder for the run directory, when it lets `..`
/// through, when `rename` replaces a stem anywhere, and when `.conf` gives `.pid.d`.
pub fn check(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let server = &SERVERS[cursor.below(SERVERS.len())];
    let (config, swift_dir, run_dir) = (cursor.path(PARTS), cursor.path(PARTS), cursor.path(PARTS));
    let (any_config, any_pid) = (cursor.path(PARTS), cursor.path(PARTS));
    resolved(server, &config, &swift_dir, &run_dir);
    let row = row(server, &any_config, &any_pid);
    if let Ok(pid_path) = pid_path(server, &row) {
        leads_to_its_pid_file(&pid_path, &any_pid);
    }
    for other in others(server, &any_config) {
        assert!(server.sources.len() > 1);
        assert_ne!(other, any_config);
    }
}

fn row(server: &Server, config: &Path, pidfile: &Path) -> Row {
    Row {
        config: Some(config.into()),
        pidfile: Some(pidfile.into()),
        ..Row::new(&server.name, State::Running)
    }
}

/// A row as swift-resolve-servers writes it, for a config that a scan can have found.
fn resolved(server: &Server, config: &Path, swift_dir: &Path, run_dir: &Path) {
    let found = |path: &Path| {
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    let plain = config.components().collect::<PathBuf>();
    if !found(config) || plain.as_os_str() != config.as_os_str() {
        return;
    }
    let Some(beneath) = pid_file(server, config) else {
        return;
    };
    let ends = |path: &Path, with: &str| path.as_os_str().as_bytes().ends_with(with.as_bytes());
    assert_eq!(ends(config, ".conf.d"), ends(&beneath, ".pid.d"));
    assert_eq!(ends(config, ".conf"), ends(&beneath, ".pid"));
    let same = |source: &swift_records::catalogue::Source| {
        config_file(server, &source.stem, &beneath).is_some_and(|back| back == config)
    };
    assert!(server.sources.iter().any(same), "{}", beneath.display());
    if !swift_dir.is_absolute() || run_dir.as_os_str().is_empty() {
        return;
    }
    let row = row(server, &swift_dir.join(config), &run_dir.join(&beneath));
    let fits = |path: &Option<PathBuf>| path.as_ref().is_some_and(|p| p.as_os_str().len() < 4096);
    if !fits(&row.config) || !fits(&row.pidfile) {
        assert!(pid_path(server, &row).is_err());
        return;
    }
    let pid_path = pid_path(server, &row).unwrap_or_else(|what| panic!("{what}"));
    leads_to_its_pid_file(&pid_path, &run_dir.join(&beneath));
    // A swift directory in whose path the config's own parts occur may part it earlier, at a place
    // that has the same pid file.
    assert!(pid_path.beneath.ends_with(&beneath) || beneath.ends_with(&pid_path.beneath));
}

fn leads_to_its_pid_file(pid_path: &PidPath, pidfile: &Path) {
    let PidPath { run_dir, beneath } = pid_path;
    let normal = |part| matches!(part, Component::Normal(_));
    assert!(beneath.components().all(normal), "{}", beneath.display());
    assert!(beneath.file_name().is_some());
    let whole: PathBuf = run_dir
        .join(beneath)
        .components()
        .filter(|c| *c != Component::CurDir)
        .collect();
    let expected: PathBuf = pidfile
        .components()
        .filter(|c| *c != Component::CurDir)
        .collect();
    assert_eq!(whole, expected);
}
