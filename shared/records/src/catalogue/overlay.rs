//! A file in that form, laid over the catalogue.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use anyhow::anyhow;
use toml::Spanned;

use super::form::{Defaults, File, LimitsTable, ServerTable, SourceForm};
use super::model::{Catalogue, Kind, Server, Source, Word};
use swift_sys::signal::Signal;

/// An error, with the bytes of the text that it is about.
type Spot = (Range<usize>, String);

impl Catalogue {
    /// Lays the text of a file in the form of swift-init.toml(5) over it. The
    /// error names the file as it is given, the line and what is wrong there.
    pub fn add(&mut self, text: &str, file: &str) -> anyhow::Result<()> {
        let fault = |offset: usize, what: &str| {
            let line = text[..offset.min(text.len())].matches('\n').count() + 1;
            anyhow!("{file}: line {line}: {what}")
        };
        let form: File = toml::from_str(text).map_err(|e| {
            let offset = e.span().map_or(0, |span| span.start);
            let what = e.message().replace('\n', " ");
            match key_at(text, offset) {
                Some(key) if what.starts_with("invalid ") => {
                    fault(offset, &format!("{key}: {what}"))
                }
                _ => fault(offset, &what),
            }
        })?;
        defaults(&form.defaults, &form.limits, self);
        servers(form.server, self)
            .and_then(|()| groups(form.groups, self))
            .map_err(|(span, what)| fault(span.start, &what))
    }
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
            let what = "groups: all is every server, and cannot be another";
            return Err((name.span(), what.into()));
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
                    let what = format!("groups.{group}: no server or group is named {word}");
                    return Err((member.span(), what));
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

fn overlay(server: &mut Server, table: ServerTable) -> Result<(), Spot> {
    if let Some(serve) = table.serve {
        server.serve = serve;
        if serve {
            server.be_served();
        }
    }
    set(&mut server.command, "command", table.command, program)?;
    set(&mut server.group, "group", table.group, name)?;
    set(&mut server.sources, "config", table.config, sources)?;
    let stop = server.stop;
    set(&mut server.stop, "stop", table.stop, signal)?;
    // A server without a graceful signal of its own is stopped either way.
    if server.graceful == stop {
        server.graceful = server.stop;
    }
    set(&mut server.graceful, "graceful", table.graceful, signal)?;
    let seamless = |word: String| match word.as_str() {
        "" => Ok(None),
        _ => signal(word).map(Some),
    };
    set(&mut server.seamless, "seamless", table.seamless, seamless)?;
    set(&mut server.swift, "swift", table.swift, kind)?;
    server.once = table.once.unwrap_or(server.once);
    server.check = table.check.unwrap_or(server.check);
    server.notify = table.notify.unwrap_or(server.notify);
    Ok(())
}

/// Puts a key's value, where there is one, in its place.
fn set<T, U>(
    place: &mut U,
    key: &str,
    value: Option<Spanned<T>>,
    read: impl FnOnce(T) -> Result<U, String>,
) -> Result<(), Spot> {
    if let Some(value) = value {
        let span = value.span();
        *place = read(value.into_inner()).map_err(|what| (span, format!("{key}: {what}")))?;
    }
    Ok(())
}

fn program(word: String) -> Result<Word, String> {
    if word.is_empty() || word.contains(|c: char| c == '/' || c.is_control()) {
        return Err("a program's name without its directory is wanted".into());
    }
    Ok(word.into())
}

fn name(word: String) -> Result<Word, String> {
    server_name(&word).map(|()| word.into())
}

fn sources(forms: Vec<SourceForm>) -> Result<Cow<'static, [Source]>, String> {
    let sources: Vec<Source> = forms.into_iter().map(Source::from).collect();
    if sources.is_empty() || sources.iter().any(|s| server_name(&s.stem).is_err()) {
        return Err("names that a config begins with are wanted".into());
    }
    Ok(sources.into())
}

fn signal(word: String) -> Result<Signal, String> {
    Signal::parse(&word).ok_or_else(|| format!("no signal is named {word}"))
}

fn kind(word: String) -> Result<Option<Kind>, String> {
    match word.as_str() {
        "server" => Ok(Some(Kind::Server)),
        "daemon" => Ok(Some(Kind::Daemon)),
        "" => Ok(None),
        _ => Err("\"server\", \"daemon\" or \"\" is wanted".into()),
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
