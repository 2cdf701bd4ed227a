//! From a config to its pid file and back.
//!
//! A config at `SWIFT_DIR/REST` has its pid file at `RUN_DIR/REST'`, where the
//! stem that the config's name begins with is replaced by the server's name, and
//! the ending `.conf` by `.pid` (`.conf.d` by `.pid.d`). So
//! `/etc/swift/object-server/1.conf` of the object-replicator is
//! `/run/swift/object-replicator/1.pid`.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use crate::catalogue::Server;
use crate::row::Row;

/// No path of so many bytes can be opened (PATH_MAX in linux/limits.h, its zero byte included).
const TOO_LONG: usize = 4096;

/// The endings of configs, each with that of its pid file.
const TO_PID_FILE: [(&str, &str); 2] = [(".conf.d", ".pid.d"), (".conf", ".pid")];
const TO_CONFIG: [(&str, &str); 2] = [(".pid.d", ".conf.d"), (".pid", ".conf")];

/// The pid file's path beneath the run directory for a config's path beneath
/// the swift directory; none when no source of the server has such configs.
pub fn pid_file(server: &Server, config: &Path) -> Option<PathBuf> {
    let mut sources = server.sources.iter();
    sources.find_map(|source| rename(config, &source.stem, &server.name, TO_PID_FILE))
}

/// The config that a pid file is named after, both beneath their directories,
/// as the server's source with that stem has it.
pub fn config_file(server: &Server, stem: &str, pid_file: &Path) -> Option<PathBuf> {
    rename(pid_file, &server.name, stem, TO_CONFIG)
}

/// The configs that the server's other sources would have in the place of this
/// one, with the same pid file; none for a server with a single source.
pub fn others(server: &Server, config: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if server.sources.len() < 2 {
        return found;
    }
    let whole = tidied(config);
    for (directory, pid_file) in named(server, &whole) {
        let configs = server.sources.iter().map(|source| &source.stem);
        let configs = configs.filter_map(|stem| config_file(server, stem, &pid_file));
        let configs = configs.map(|beneath| directory.join(beneath));
        found.extend(configs.filter(|other| other != config));
    }
    found
}

/// Replaces what the first component begins with and what the last ends with.
fn rename(
    path: &Path,
    old_stem: &str,
    new_stem: &str,
    endings: [(&str, &str); 2],
) -> Option<PathBuf> {
    let rest = path
        .as_os_str()
        .as_bytes()
        .strip_prefix(old_stem.as_bytes())?;
    let (old, new) = endings
        .into_iter()
        .find(|(old, _)| rest.ends_with(old.as_bytes()))?;
    let middle = &rest[..rest.len() - old.len()];
    Some(OsString::from_vec([new_stem.as_bytes(), middle, new.as_bytes()].concat()).into())
}

/// The instance that a process is compared with: a server, its config and its pid file.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a> {
    /// The server.
    pub server: &'a Server,
    /// Its config, as the row has it.
    pub config: &'a Path,
    /// Its pid file.
    pub pid_path: &'a PidPath,
}

/// A row whose server and pid file are known.
#[derive(Debug)]
pub struct RowInstance {
    /// The row.
    pub row: Row,
    /// Its server.
    pub server: Server,
    /// Its pid file.
    pub pid_path: PidPath,
}

impl RowInstance {
    /// The row of a server. The error is for a bad line.
    pub fn new(server: Server, row: Row) -> Result<RowInstance, String> {
        let pid_path = pid_path(&server, &row)?;
        Ok(RowInstance {
            row,
            server,
            pid_path,
        })
    }

    /// The instance that its process is compared with.
    pub fn instance(&self) -> Instance<'_> {
        Instance {
            server: &self.server,
            config: self.row.config.as_deref().unwrap_or(Path::new("")),
            pid_path: &self.pid_path,
        }
    }
}

/// The pid files, beneath a run directory, that a config can be named by: one
/// for each place at which a swift directory may end in its path.
pub fn pid_files(server: &Server, config: &Path) -> Vec<PathBuf> {
    let whole = tidied(config);
    let pid_files = named(server, &whole).map(|(_, pid_file)| pid_file);
    pid_files.filter(|path| !climbs(path)).collect()
}

/// The path of a row's pid file, in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidPath {
    /// The run directory.
    pub run_dir: PathBuf,
    /// The pid file beneath it.
    pub beneath: PathBuf,
}

/// Parts a row's pid file into the run directory and what lies beneath it,
/// which is not trusted. The config says where the parting is: its part beneath
/// the swift directory and the pid file's part beneath the run directory are
/// the same but for stem and ending. The error is for a bad line: a pid file
/// that is not this config's is none of this row's business.
pub fn pid_path(server: &Server, row: &Row) -> Result<PidPath, String> {
    let config = row.config.as_ref().ok_or("field 2: no config")?;
    let path = row.pidfile.as_ref().ok_or("field 3: no pid file")?;
    for (field, path) in [(2, config), (3, path)] {
        if path.as_os_str().len() >= TOO_LONG {
            return Err(format!("field {field}: longer than a path can be"));
        }
    }
    let (whole_config, whole_path) = (tidied(config), tidied(path));
    let whole_path = whole_path.as_bytes();
    for (_, beneath) in named(server, &whole_config) {
        let Some(above) = whole_path.strip_suffix(beneath.as_os_str().as_bytes()) else {
            continue;
        };
        let run_dir = match above {
            b"" => b".",
            b"/" => b"/",
            [run_dir @ .., b'/'] => run_dir,
            _ => continue,
        };
        if !climbs(&beneath) {
            return Ok(PidPath {
                run_dir: OsStr::from_bytes(run_dir).into(),
                beneath,
            });
        }
    }
    Err(format!(
        "field 3: {} is not the pid file of {}",
        path.display(),
        config.display()
    ))
}

/// A path without what means nothing in it: slashes beside slashes, and dots
/// that stand alone behind one. Nearly all have none of that.
fn tidied(path: &Path) -> Cow<'_, OsStr> {
    let bytes = path.as_os_str().as_bytes();
    let idle = |two: &[u8]| matches!(two, b"//" | b"/.");
    if bytes.ends_with(b"/") || bytes.windows(2).any(idle) {
        Cow::Owned(path.components().collect::<PathBuf>().into_os_string())
    } else {
        Cow::Borrowed(path.as_os_str())
    }
}

/// The parts of a tidied config's path at which a swift directory may end: the directory, and the pid
/// file that the config beneath it has.
fn named<'a>(
    server: &'a Server,
    config: &'a OsStr,
) -> impl Iterator<Item = (&'a Path, PathBuf)> + 'a {
    let config = config.as_bytes();
    let slashes = (0..config.len()).filter(|&at| config[at] == b'/');
    let parts = std::iter::once(0).chain(slashes.map(|at| at + 1));
    parts.filter_map(|from| {
        let (directory, beneath) = config.split_at(from);
        let pid_file = pid_file(server, OsStr::from_bytes(beneath).as_ref())?;
        Some((OsStr::from_bytes(directory).as_ref(), pid_file))
    })
}

/// True for a path that leads up somewhere. No scan finds such a one beneath a
/// directory.
fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::state::State;

    fn server(name: &str) -> Server {
        Catalogue::load(Path::new("/nonexistent"))
            .unwrap()
            .server(name)
    }

    #[test]
    fn configs_map_to_pid_files_and_back() {
        for ((name, stem), (config, pid)) in [
            (
                ("object-server", "object-server"),
                ("object-server.conf", "object-server.pid"),
            ),
            (
                ("object-server", "object-server"),
                ("object-server/1.conf", "object-server/1.pid"),
            ),
            (
                ("object-server", "object-server"),
                ("object-server/1.conf.d", "object-server/1.pid.d"),
            ),
            (
                ("object-server", "object-server"),
                ("object-server.conf.d", "object-server.pid.d"),
            ),
            (
                ("object-replicator", "object-server"),
                ("object-server/a/b.conf", "object-replicator/a/b.pid"),
            ),
            (
                ("object-replicator", "object-server"),
                ("object-server-rep.conf", "object-replicator-rep.pid"),
            ),
            (
                ("object-server", "object-server"),
                (
                    "object-server/object-server.conf.conf",
                    "object-server/object-server.conf.pid",
                ),
            ),
            (
                ("object-expirer", "object-server"),
                ("object-server.conf", "object-expirer.pid"),
            ),
            (
                ("container-reconciler", "container-reconciler"),
                ("container-reconciler.conf", "container-reconciler.pid"),
            ),
        ] {
            let server = server(name);
            assert_eq!(pid_file(&server, Path::new(config)), Some(pid.into()));
            assert_eq!(
                config_file(&server, stem, Path::new(pid)),
                Some(config.into())
            );
        }
    }

    #[test]
    fn only_configs_of_the_servers_sources_have_pid_files() {
        assert_eq!(
            pid_file(&server("object-expirer"), Path::new("object-expirer.conf")),
            Some("object-expirer.pid".into())
        );
        assert_eq!(
            pid_file(&server("object-server"), Path::new("container-server.conf")),
            None
        );
        assert_eq!(
            config_file(
                &server("object-server"),
                "object-server",
                Path::new("object-server.log")
            ),
            None
        );
    }

    #[test]
    fn a_config_of_another_source_has_the_same_pid_file() {
        let expirer = server("object-expirer");
        let (new, old) = (
            "/etc/swift/object-server/1.conf",
            "/etc/swift/object-expirer/1.conf",
        );
        assert_eq!(others(&expirer, Path::new(new)), [PathBuf::from(old)]);
        assert_eq!(others(&expirer, Path::new(old)), [PathBuf::from(new)]);
        let none = Vec::<PathBuf>::new();
        assert_eq!(others(&server("object-server"), Path::new(new)), none);
        assert_eq!(others(&expirer, Path::new("/etc/passwd")), none);
    }

    fn row(config: &str, pid: &str) -> Row {
        Row {
            config: Some(config.into()),
            pidfile: Some(pid.into()),
            ..Row::new("object-server", State::Running)
        }
    }

    #[test]
    fn a_row_tells_its_run_directory() {
        let server = server("object-server");
        for (config, pid, run_dir, beneath) in [
            (
                "/etc/swift/object-server/1.conf",
                "/run/swift/object-server/1.pid",
                "/run/swift",
                "object-server/1.pid",
            ),
            (
                "/x/object-server/etc/object-server.conf",
                "/x/object-server/run/object-server.pid",
                "/x/object-server/run",
                "object-server.pid",
            ),
            (
                "/object-server/object-server/1.conf",
                "/r/object-server/1.pid",
                "/r",
                "object-server/1.pid",
            ),
            (
                "etc/object-server.conf",
                "object-server.pid",
                ".",
                "object-server.pid",
            ),
            (
                "./object-server/1.conf",
                "/object-server//1.pid",
                "/",
                "object-server/1.pid",
            ),
            (
                "/etc//swift/object-server/./1.conf",
                "/../run/./swift//object-server/1.pid/",
                "/../run/swift",
                "object-server/1.pid",
            ),
        ] {
            assert_eq!(
                pid_path(&server, &row(config, pid)),
                Ok(PidPath {
                    run_dir: run_dir.into(),
                    beneath: beneath.into()
                })
            );
        }
    }

    #[test]
    fn a_pid_file_of_another_config_is_refused() {
        let server = server("object-server");
        for (config, pid) in [
            (
                "/etc/swift/object-server/1.conf",
                "/run/swift/object-server/2.pid",
            ),
            ("/etc/swift/object-server/1.conf", "/etc/passwd"),
            (
                "/etc/swift/object-server/1.conf",
                "/run/swiftobject-server/1.pid",
            ),
            (
                "/etc/swift/object-server/../1.conf",
                "/run/swift/object-server/../1.pid",
            ),
            (
                "/etc/swift/proxy-server.conf",
                "/run/swift/proxy-server.pid",
            ),
        ] {
            assert!(pid_path(&server, &row(config, pid)).is_err());
        }
        let directories = "/object-server".repeat(TOO_LONG / 14 + 1);
        let error = pid_path(&server, &row(&format!("{directories}/1.conf"), "/1.pid"));
        assert_eq!(error, Err("field 2: longer than a path can be".into()));
    }
}
