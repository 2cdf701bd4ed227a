//! The rows of one server.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use swift_cli::closest::{closest, hint};
use swift_records::catalogue::{Server, Source};
use swift_records::config;
use swift_records::instance::{config_file, pid_file};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;

use crate::configs::{Configs, Unread, beneath, is_named};
use crate::pids::PidFiles;

/// The command line and what lies in the two directories.
pub struct Ground<'a> {
    /// The swift directory.
    pub swift_dir: &'a Path,
    /// The run directory.
    pub run_dir: &'a Path,
    /// The configs beneath the first.
    pub configs: &'a Configs,
    /// The pid files beneath the second.
    pub pids: &'a PidFiles,
    /// The config that is wanted, from 1.
    pub number: Option<usize>,
}

/// A server that was asked for, and its configs.
pub struct Wanted {
    /// The server.
    pub server: Server,
    /// The names of its configs; none stands for all.
    pub names: Vec<Option<String>>,
}

/// The rows of a server.
pub struct Found {
    /// First those of what it lacks, then its instances sorted by config.
    pub rows: Vec<Row>,
    /// True when the configs of some pid files may be gone or not, since not all configs could be
    /// read. None of them is an orphan: a reader would stop what should be started again.
    pub doubtful: bool,
}

/// The state of the config that a pid file is named after.
enum Fate {
    /// No search has found it, and it is there.
    There,
    /// The config is gone.
    Gone,
    /// The config cannot be looked for.
    Unknown,
}

/// The rows of a server. Configs that cannot be understood are reported in `faults`.
pub fn of_server(ground: &Ground, wanted: &Wanted, faults: &mut Vec<String>) -> Found {
    let server = &wanted.server;
    let unread = ground.configs.unread(ground.swift_dir, server);
    let unread = unread.map(Unread::text);
    let mut senseless = false;
    let mut rows = Vec::new();
    let mut instances = Vec::new();
    // A pid file that is taken is no orphan.
    let mut taken = HashSet::new();
    for name in &wanted.names {
        let (source, found) = find(ground, server, name.as_deref(), |fault| {
            senseless = true;
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        });
        let pid_files = found.iter().filter_map(|config| pid_file(server, config));
        taken.extend(pid_files.map(PathBuf::into_os_string));
        let chosen = match ground.number {
            Some(number) => found.get(number - 1..number).unwrap_or_default(),
            None => &found,
        };
        if chosen.is_empty() {
            let row = unconfigured(ground, server, name.as_deref(), &found);
            rows.push(match &unread {
                Some(why) => row.with(State::Unconfigured, Reason::Unreadable, why),
                None => row,
            });
        }
        let rows_of = chosen
            .iter()
            .filter_map(|config| configured(ground, server, source?, config));
        instances.extend(rows_of);
    }
    let mut doubtful = false;
    for pid in ground.pids.of(&server.name) {
        let asked_for = wanted.names.iter().any(|name| names_pid(server, name, pid));
        if taken.contains(pid.as_os_str()) || !asked_for {
            continue;
        }
        let Some(row) = orphan(ground, server, pid) else {
            continue;
        };
        match (&unread, senseless) {
            // Whether the config has the section is not known.
            (_, true) => doubtful = true,
            (None, false) => instances.push(row),
            (Some(why), false) => match fate(ground, server, pid) {
                Fate::There => instances.push(row.with_state(State::Configured)),
                Fate::Gone => instances.push(row),
                Fate::Unknown => {
                    doubtful = true;
                    instances.push(row.with(State::Configured, Reason::Unreadable, why));
                }
            },
        }
    }
    instances.sort_by(|one, other| config_bytes(one).cmp(config_bytes(other)));
    rows.extend(instances);
    rows.dedup();
    if let Some(unread) = ground.pids.unread(&server.name) {
        let row = Row::new(&server.name, State::Orphan);
        rows.push(row.with(State::Orphan, Reason::Unreadable, &unread.text()));
    }
    Found { rows, doubtful }
}

/// Looks for the config that a pid file is named after, when not all
/// directories of configs could be read: some can be entered all the same.
fn fate(ground: &Ground, server: &Server, pid: &Path) -> Fate {
    let configs = server.sources.iter();
    let configs = configs.filter_map(|source| config_file(server, &source.stem, pid));
    let mut fate = Fate::Gone;
    for config in configs {
        match std::fs::symlink_metadata(ground.swift_dir.join(config)) {
            Ok(_) => return Fate::There,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(_) => fate = Fate::Unknown,
        }
    }
    fate
}

/// The configs of a server, from the first of its sources that has any.
fn find<'a>(
    ground: &Ground<'a>,
    server: &'a Server,
    name: Option<&str>,
    mut report: impl FnMut(String),
) -> (Option<&'a Source>, Vec<&'a Path>) {
    for source in server.sources.iter() {
        let mut found = ground.configs.of(&source.stem, name);
        if let Some(section) = &source.section {
            found.retain(|config| {
                let ini = config::read(&beneath(ground.swift_dir, config));
                let ini = ini.map_err(&mut report);
                ini.is_ok_and(|ini| ini.has_section(section))
            });
        }
        if !found.is_empty() {
            return (Some(source), found);
        }
    }
    (None, Vec::new())
}

fn configured(ground: &Ground, server: &Server, source: &Source, config: &Path) -> Option<Row> {
    let mut row = Row::new(&server.name, State::Configured);
    row.config = Some(beneath(ground.swift_dir, config));
    row.pidfile = Some(beneath(ground.run_dir, &pid_file(server, config)?));
    Some(match &source.deprecated {
        Some(text) => row.with(State::Configured, Reason::Deprecated, text.as_bytes()),
        None => row,
    })
}

/// The row of a config that is not there. Its text says what was looked for and where; with a
/// number, then which configs there are.
fn unconfigured(ground: &Ground, server: &Server, name: Option<&str>, found: &[&Path]) -> Row {
    let mut text = match (ground.number, name) {
        (Some(number), _) => format!("number {number} of {}", found.len()).into_bytes(),
        (None, Some(name)) => no_such_config(ground, server, name).into_bytes(),
        (None, None) => no_config(ground, server).into_bytes(),
    };
    for config in found {
        text.push(b'\n');
        text.extend(beneath(ground.swift_dir, config).as_os_str().as_bytes());
    }
    Row::new(&server.name, State::Unconfigured).with(State::Unconfigured, Reason::Absent, &text)
}

fn no_config(ground: &Ground, server: &Server) -> String {
    let sources = server.sources.iter().map(|source| {
        let section = source.section.as_ref();
        let section = section.map_or(String::new(), |name| format!(" with [{name}]"));
        format!("no {}*.conf{section}", source.stem)
    });
    let sources = sources.collect::<Vec<_>>().join(", ");
    format!("{sources} beneath {}", ground.swift_dir.display())
}

fn no_such_config(ground: &Ground, server: &Server, name: &str) -> String {
    let stems = || server.sources.iter().map(|source| source.stem.as_ref());
    let directories = stems().map(|stem| beneath(ground.swift_dir, stem.as_ref()));
    let directories: Vec<String> = directories.map(|path| path.display().to_string()).collect();
    let configs = stems().flat_map(|stem| {
        let paths = ground.configs.of(stem, None).into_iter();
        paths.filter_map(move |path| config_name(path.strip_prefix(stem).ok()?))
    });
    let meant = closest(name, configs).map(|config| format!("{}.{config}", server.name));
    let hint = hint(meant.as_deref());
    format!("no {name}.conf beneath {}{hint}", directories.join(" or "))
}

/// The name by which SERVER.CONFIG asks for a config; none when no such word can.
fn config_name(path: &Path) -> Option<&str> {
    let last = path.file_name()?.to_str()?;
    let name = last.strip_suffix(".conf").or(last.strip_suffix(".conf.d"));
    name.filter(|name| !name.contains('.') && *name == name.to_lowercase())
}

/// True for a name that asks for a pid file as well.
fn names_pid(server: &Server, name: &Option<String>, pid: &Path) -> bool {
    match name {
        Some(name) => is_named(pid, &server.name, name, [b".pid", b".pid.d"]),
        None => true,
    }
}

/// The row of a pid file without a config. The config's column says where the
/// config would be.
fn orphan(ground: &Ground, server: &Server, pid: &Path) -> Option<Row> {
    let source = server.sources.first()?;
    let mut row = Row::new(&server.name, State::Orphan);
    let config = config_file(server, &source.stem, pid)?;
    row.config = Some(beneath(ground.swift_dir, &config));
    row.pidfile = Some(beneath(ground.run_dir, pid));
    Some(row)
}

fn config_bytes(row: &Row) -> &[u8] {
    row.config
        .as_ref()
        .map_or(b"", |c| c.as_os_str().as_bytes())
}
