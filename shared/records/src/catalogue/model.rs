//! Servers, groups and defaults, as they are known.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use swift_sys::signal::Signal;

/// The site's own catalogue, beneath the swift directory.
pub const SITE_FILE: &str = "swift-init.toml";

/// A word of the catalogue: one that is compiled in costs nothing at a start.
pub type Word = Cow<'static, str>;

/// A server, and what it can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its name, such as `object-replicator`.
    pub name: Word,
    /// Its program's name, such as `swift-object-replicator`.
    pub command: Word,
    /// The group that it belongs to beside `all`.
    pub group: Word,
    /// Where its configs are looked for; the first source that has any wins.
    pub sources: Cow<'static, [Source]>,
    /// The signal that ends it.
    pub stop: Signal,
    /// The signal that ends it and lets requests under way finish; the same as
    /// `stop` for a server that knows no such thing.
    pub graceful: Signal,
    /// The signal that makes it execute itself anew under the same PID.
    pub seamless: Option<Signal>,
    /// True when it takes the argument `once`.
    pub once: bool,
    /// The way in which it reads its config, when its program is one of Swift's own.
    pub swift: Option<Kind>,
    /// True when it can check its config: `COMMAND CONF --test-config`.
    pub check: bool,
    /// True when it announces READY=1.
    pub notify: bool,
    /// True when it is run by swift-serve, which needs its pid file.
    pub serve: bool,
}

/// The way in which a program of Swift's own reads its config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As a server that listens, through PasteDeploy: `[app:NAME]` (wsgi.py).
    Server,
    /// As a daemon: `[NAME]` (daemon.py).
    Daemon,
}

/// One place where configs of a server lie.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The start of the file's or directory's name, such as `object-server`.
    pub stem: Word,
    /// The section that such a config must have to count.
    pub section: Option<Word>,
    /// The warning about configs from there, when they are deprecated.
    pub deprecated: Option<Word>,
}

impl Source {
    /// All configs whose names begin with a stem.
    pub const fn new(stem: Word) -> Source {
        Source {
            stem,
            section: None,
            deprecated: None,
        }
    }
}

/// The resource limits that a server is started with at least.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Open files.
    pub files: u64,
    /// Data segment in bytes.
    pub data: u64,
    /// Processes of the user.
    pub processes: u64,
}

/// All servers and groups, and the site's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// The servers, in the order in which they are shown.
    pub servers: Cow<'static, [Server]>,
    pub(super) groups: Vec<(String, Vec<String>)>,
    /// The directory of pid files.
    pub run_dir: PathBuf,
    /// The time that a server gets to end.
    pub kill_wait: Duration,
    /// The resource limits that a server is started with at least.
    pub limits: Limits,
    /// swift-init reports to the system's log.
    pub log: bool,
    /// The text of the site's file; empty when there is none.
    pub site: String,
}

impl Catalogue {
    /// The server of that name: one of the catalogue, or else what the name
    /// itself says, since any installed program swift-NAME is taken for a
    /// server NAME (format_server_name in manager.py).
    pub fn server(&self, name: &str) -> Server {
        match self.servers.iter().find(|s| s.name == name) {
            Some(server) => server.clone(),
            None => Server::unlisted(name),
        }
    }

    /// The names of all groups: `all` first, then the others in their order.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let of_servers = self.servers.iter().map(|s| s.group.as_ref());
        let of_site = self.groups.iter().map(|g| g.0.as_str());
        let mut named = HashSet::new();
        std::iter::once("all")
            .chain(of_servers)
            .chain(of_site)
            .filter(move |group| named.insert(*group))
    }

    /// The members of a group, in the catalogue's order; none when there is no such group.
    pub fn members(&self, group: &str) -> Option<Vec<&str>> {
        if let Some((_, names)) = self.groups.iter().find(|(name, _)| name == group) {
            return Some(names.iter().map(String::as_str).collect());
        }
        let member = |s: &&Server| group == "all" || s.group == group;
        let names: Vec<&str> = self
            .servers
            .iter()
            .filter(member)
            .map(|s| s.name.as_ref())
            .collect();
        (!names.is_empty()).then_some(names)
    }
}

fn starts_with(name: &std::ffi::OsStr, stem: &str) -> bool {
    name.as_encoded_bytes().starts_with(stem.as_bytes())
}

impl Server {
    /// The warning about a config from a deprecated source.
    pub fn deprecation(&self, config: &Path) -> Option<&str> {
        let source = self.sources.iter().find(|source| {
            source.deprecated.is_some() && config.iter().any(|part| starts_with(part, &source.stem))
        })?;
        source.deprecated.as_deref()
    }

    /// Adds what swift-serve does for every server that it runs.
    pub fn be_served(&mut self) {
        self.serve = true;
        self.graceful = Signal::HUP;
        self.seamless = Some(Signal::USR1);
        self.check = true;
        self.notify = true;
    }

    /// A server that is known by its name alone: `FOO-BAR` reads FOO-server's config.
    pub fn unlisted(name: &str) -> Server {
        let kind = name.rsplit_once('-').map_or(name, |(kind, _)| kind);
        Server {
            name: name.to_owned().into(),
            command: format!("swift-{name}").into(),
            group: "rest".into(),
            sources: vec![Source::new(format!("{kind}-server").into())].into(),
            stop: Signal::TERM,
            graceful: Signal::TERM,
            seamless: None,
            once: false,
            swift: None,
            check: false,
            notify: false,
            serve: false,
        }
    }
}
