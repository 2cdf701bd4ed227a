//! The catalogue's form as a file: swift-init.toml(5).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use toml::Spanned;

use super::model::{Catalogue, Kind, SITE_FILE, Server, Source, Word};
use super::swift;
use swift_sys::regular_file;
use swift_sys::signal::Signal;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    server: BTreeMap<Spanned<String>, ServerTable>,
    #[serde(default)]
    groups: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Defaults {
    run_dir: Option<PathBuf>,
    kill_wait: Option<u32>,
    log: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    files: Option<u64>,
    data: Option<u64>,
    processes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerTable {
    command: Option<Spanned<String>>,
    group: Option<Spanned<String>>,
    config: Option<Spanned<Vec<SourceForm>>>,
    stop: Option<Spanned<String>>,
    graceful: Option<Spanned<String>>,
    seamless: Option<Spanned<String>>,
    once: Option<bool>,
    swift: Option<Spanned<String>>,
    check: Option<bool>,
    notify: Option<bool>,
    serve: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SourceForm {
    Stem(String),
    Table(SourceTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    stem: String,
    section: Option<String>,
    deprecated: Option<String>,
}

impl Catalogue {
    /// The servers of Swift, with the site's file where there is one.
    /// The error names the file, the line and what is wrong there.
    pub fn load(swift_dir: &Path) -> anyhow::Result<Catalogue> {
        Catalogue::load_file(&swift_dir.join(SITE_FILE))
    }

    /// The same with a site's file that lies elsewhere.
    pub fn load_file(path: &Path) -> anyhow::Result<Catalogue> {
        let mut catalogue = swift::catalogue();
        add_site(path, &mut catalogue)?;
        Ok(catalogue)
    }

    /// Lays the text of a file in the form of swift-init.toml(5) over it. The
    /// error names the file as it is given, the line and what is wrong there.
    pub fn add(&mut self, text: &str, file: &str) -> anyhow::Result<()> {
        apply(text, self).map_err(|fault| fault.naming(file))
    }
}

/// Lays the site's file, where there is one, over the catalogue.
fn add_site(path: &Path, catalogue: &mut Catalogue) -> anyhow::Result<()> {
    match regular_file::read_text(path) {
        Ok(text) => {
            catalogue.add(&text, &path.display().to_string())?;
            catalogue.site = text;
        }
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
        Err(e) if e.kind() == ErrorKind::PermissionDenied && is_out_of_sight(path) => {}
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
    Ok(())
}

/// Whether a directory on the way may not be entered, so that nobody can tell
/// whether the file exists. The configs there are out of sight then too, which
/// swift-resolve-servers reports.
fn is_out_of_sight(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
}

/// What is wrong with a file, and where in its text.
struct Fault {
    line: usize,
    what: String,
}

impl Fault {
    fn naming(self, file: &str) -> anyhow::Error {
        anyhow!("{file}: line {}: {}", self.line, self.what)
    }
}

/// What is wrong, and the bytes of the text that it is about.
type Spot = (Range<usize>, String);

/// Lays one file over the catalogue.
fn apply(text: &str, catalogue: &mut Catalogue) -> Result<(), Fault> {
    let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let file: File = toml::from_str(text).map_err(|e| {
        let offset = e.span().map_or(0, |span| span.start);
        let what = e.message().replace('\n', " ");
        Fault {
            line: line(offset),
            what: match key_at(text, offset) {
                Some(key) if what.starts_with("invalid ") => format!("{key}: {what}"),
                _ => what,
            },
        }
    })?;
    defaults(&file.defaults, &file.limits, catalogue);
    servers(file.server, catalogue)
        .and_then(|()| groups(file.groups, catalogue))
        .map_err(|(span, what)| Fault {
            line: line(span.start),
            what,
        })
}

fn defaults(defaults: &Defaults, limits: &LimitsTable, catalogue: &mut Catalogue) {
    if let Some(run_dir) = &defaults.run_dir {
        catalogue.run_dir.clone_from(run_dir);
    }
    if let Some(seconds) = defaults.kill_wait {
        catalogue.kill_wait = Duration::from_secs(seconds.into());
    }
    catalogue.log = defaults.log.unwrap_or(catalogue.log);
    let own = &mut catalogue.limits;
    own.files = limits.files.unwrap_or(own.files);
    own.data = limits.data.unwrap_or(own.data);
    own.processes = limits.processes.unwrap_or(own.processes);
}

fn servers(
    tables: BTreeMap<Spanned<String>, ServerTable>,
    catalogue: &mut Catalogue,
) -> Result<(), Spot> {
    // A map sorts by name; the file's own order is what is shown.
    let mut servers: Vec<_> = tables.into_iter().collect();
    servers.sort_by_key(|(name, _)| name.span().start);
    // A file of ten thousand servers is not searched ten thousand times.
    let named = catalogue.servers.iter().map(|server| server.name.clone());
    let mut places: HashMap<Word, usize> = named.zip(0..).collect();
    for (name, table) in servers {
        server_name(name.get_ref()).map_err(|what| (name.span(), what))?;
        let place = places.get(name.get_ref().as_str()).copied();
        let mut server = match place {
            Some(place) => catalogue.servers[place].clone(),
            None => Server::unlisted(name.get_ref()),
        };
        overlay(&mut server, table)
            .map_err(|(span, what)| (span, format!("server {}: {what}", server.name)))?;
        let servers = catalogue.servers.to_mut();
        match place {
            Some(place) => servers[place] = server,
            None => {
                places.insert(server.name.clone(), servers.len());
                servers.push(server);
            }
        }
    }
    Ok(())
}

fn groups(
    tables: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    catalogue: &mut Catalogue,
) -> Result<(), Spot> {
    if tables.is_empty() {
        return Ok(());
    }
    // A group of ten thousand servers is not searched ten thousand times.
    let named: HashSet<Word> = catalogue.servers.iter().map(|s| s.name.clone()).collect();
    let mut known: HashSet<String> = catalogue.groups().map(str::to_owned).collect();
    let mut groups: Vec<_> = tables.into_iter().collect();
    groups.sort_by_key(|(name, _)| name.span().start);
    for (name, members) in groups {
        let group = name.get_ref();
        if group == "all" {
            return Err((
                name.span(),
                "groups: all is every server, and cannot be another".into(),
            ));
        }
        server_name(group).map_err(|what| (name.span(), format!("groups: {what}")))?;
        if members.is_empty() {
            let what = format!("groups.{group}: at least one server or group is wanted");
            return Err((name.span(), what));
        }
        let mut names: Vec<String> = Vec::new();
        let mut taken = HashSet::new();
        for member in members {
            let word = member.get_ref().as_str();
            let group_of_that_name = known.contains(word).then(|| catalogue.members(word));
            let found = match group_of_that_name.flatten() {
                Some(members) => members.into_iter().map(str::to_owned).collect(),
                None if named.contains(word) => vec![word.to_owned()],
                None => {
                    return Err((
                        member.span(),
                        format!("groups.{group}: no server or group is named {word}"),
                    ));
                }
            };
            names.extend(found.into_iter().filter(|name| taken.insert(name.clone())));
        }
        if !known.insert(group.clone()) {
            catalogue.groups.retain(|(known, _)| known != group);
        }
        catalogue.groups.push((group.clone(), names));
    }
    Ok(())
}

/// The key whose value stands at an offset; none when it is on another line.
fn key_at(text: &str, offset: usize) -> Option<&str> {
    let line = text.get(..offset)?.rsplit('\n').next()?;
    line.split_once('=').map(|(key, _)| key.trim())
}

type Misfit = (std::ops::Range<usize>, String);

fn overlay(server: &mut Server, table: ServerTable) -> Result<(), Misfit> {
    if let Some(serve) = table.serve {
        server.serve = serve;
        if serve {
            server.be_served();
        }
    }
    if let Some(command) = table.command {
        let bad = |c: char| c == '/' || c.is_control();
        if command.get_ref().is_empty() || command.get_ref().contains(bad) {
            return Err((
                command.span(),
                "command: a program's name without its folder is wanted".into(),
            ));
        }
        server.command = command.into_inner().into();
    }
    if let Some(group) = table.group {
        server_name(group.get_ref()).map_err(|what| (group.span(), format!("group: {what}")))?;
        server.group = group.into_inner().into();
    }
    if let Some(config) = table.config {
        let span = config.span();
        let sources: Vec<Source> = config.into_inner().into_iter().map(Source::from).collect();
        if sources.is_empty() || sources.iter().any(|s| server_name(&s.stem).is_err()) {
            return Err((
                span,
                "config: names that a config begins with are wanted".into(),
            ));
        }
        server.sources = sources.into();
    }
    let signal = |key: &str, word: Option<Spanned<String>>| match word {
        None => Ok(None),
        Some(word) => match Signal::parse(word.get_ref()) {
            Some(signal) => Ok(Some(signal)),
            None => Err((
                word.span(),
                format!("{key}: no signal is named {}", word.get_ref()),
            )),
        },
    };
    if let Some(stop) = signal("stop", table.stop)? {
        // A server without a graceful signal of its own is stopped either way.
        if server.graceful == server.stop {
            server.graceful = stop;
        }
        server.stop = stop;
    }
    server.graceful = signal("graceful", table.graceful)?.unwrap_or(server.graceful);
    server.seamless = match table.seamless {
        Some(word) if word.get_ref().is_empty() => None,
        word => signal("seamless", word)?.or(server.seamless),
    };
    server.once = table.once.unwrap_or(server.once);
    if let Some(kind) = table.swift {
        server.swift = match kind.get_ref().as_str() {
            "server" => Some(Kind::Server),
            "daemon" => Some(Kind::Daemon),
            "" => None,
            _ => {
                let what = "swift: \"server\", \"daemon\" or \"\" is wanted".to_owned();
                return Err((kind.span(), what));
            }
        };
    }
    server.check = table.check.unwrap_or(server.check);
    server.notify = table.notify.unwrap_or(server.notify);
    Ok(())
}

impl From<SourceForm> for Source {
    fn from(form: SourceForm) -> Source {
        match form {
            SourceForm::Stem(stem) => Source {
                stem: stem.into(),
                section: None,
                deprecated: None,
            },
            SourceForm::Table(t) => Source {
                stem: t.stem.into(),
                section: t.section.map(Word::from),
                deprecated: t.deprecated.map(Word::from),
            },
        }
    }
}

fn server_name(name: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if !name.is_empty() && !name.starts_with('-') && name.bytes().all(good) {
        return Ok(());
    }
    Err(format!(
        "{name} is no name (small letters, digits, - and _ make one)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_site(text: &str) -> anyhow::Result<Catalogue> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SITE_FILE), text).unwrap();
        Catalogue::load(folder.path())
    }

    #[test]
    fn a_site_adds_servers_and_groups() {
        let catalogue = with_site(
            "[defaults]\nkill_wait = 30\nlog = false\n[limits]\nfiles = 65536\n\
             [server.hello-server]\ngroup = \"main\"\nseamless = \"USR1\"\n\
             [server.object-server]\nnotify = false\n\
             [groups]\nweb = [\"hello-server\", \"proxy-server\"]\nboth = [\"web\", \"rest\"]\n",
        )
        .unwrap();
        assert_eq!(catalogue.kill_wait, Duration::from_secs(30));
        assert!(!catalogue.log);
        assert_eq!(catalogue.limits.files, 65536);
        assert_eq!(catalogue.limits.processes, 8192);
        assert_eq!(
            catalogue.members("main").unwrap().last(),
            Some(&"hello-server")
        );
        assert_eq!(
            catalogue.members("web").unwrap(),
            ["hello-server", "proxy-server"]
        );
        assert_eq!(catalogue.members("both").unwrap().len(), 16);
        assert!(!catalogue.server("object-server").notify);
        assert!(catalogue.server("object-server").check);
    }

    #[test]
    fn a_server_of_swift_serve_can_what_swift_serve_can() {
        let text = "[server.a-server]\nserve = true\nnotify = false\n";
        let server = with_site(text).unwrap().server("a-server");
        assert_eq!(server.graceful, Signal::HUP);
        assert_eq!(server.seamless, Some(Signal::USR1));
        assert!(server.serve && server.check && !server.notify);
    }

    #[test]
    fn an_empty_word_unsets_the_seamless_reload() {
        let text = "[server.proxy-server]\nseamless = \"\"\n\
                    [server.a-server]\nserve = true\nseamless = \"\"\n";
        let catalogue = with_site(text).unwrap();
        for name in ["proxy-server", "a-server"] {
            let server = catalogue.server(name);
            assert_eq!((server.seamless, server.graceful), (None, Signal::HUP));
            assert!(server.check && server.notify);
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line() {
        for (text, what) in [
            ("[server.a-b]\nonce = 3\n", "line 2: once: invalid type"),
            (
                "[defaults]\n\nlog = \"no\"\n",
                "line 3: log: invalid type: string \"no\", expected a boolean",
            ),
            (
                "[server.a-b]\n\nstopp = \"TERM\"\n",
                "line 3: unknown field `stopp`",
            ),
            (
                "[server.a-b]\nstop = \"NOPE\"\n",
                "line 2: server a-b: stop: no signal is named NOPE",
            ),
            ("[server.\"A B\"]\n", "line 1: A B is no name"),
            (
                "[groups]\nx = [\"nope\"]\n",
                "line 2: groups.x: no server or group is named nope",
            ),
            (
                "[groups]\nall = []\n",
                "line 2: groups: all is every server",
            ),
            (
                "[groups]\n\nx = []\n",
                "line 3: groups.x: at least one server or group is wanted",
            ),
            (
                "[server.a-b]\ncommand = \"a\\u0000b\"\n",
                "line 2: server a-b: command: a program's name",
            ),
            (
                "[server.a-b]\nswift = \"wsgi\"\n",
                "line 2: server a-b: swift: \"server\", \"daemon\" or \"\" is wanted",
            ),
            (
                "[server.a-b]\nconfig = []\n",
                "line 2: server a-b: config: names",
            ),
            (
                "[server.a-b]\ncommand = \"/bin/x\"\n",
                "line 2: server a-b: command: a program's name",
            ),
            (
                "[server.a-b]\ncommand = \"a\\u001b[2J\"\n",
                "line 2: server a-b: command: a program's name",
            ),
            ("x = \n", "line 1: "),
        ] {
            let error = with_site(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            assert!(error.contains("swift-init.toml: line "), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
