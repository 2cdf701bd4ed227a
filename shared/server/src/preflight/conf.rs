//! A config, and which of its values the server uses.

use std::fmt::Display;
use std::path::PathBuf;

use super::finding::{Finding, Result};
use super::reading;
use super::values::int;
use crate::process::{Pid, has_capabilities};
use crate::user::{self, Known};
use swift_records::catalogue::Kind;
use swift_records::ini::{Found, Ini, Value};
use swift_records::reason::Reason;
use swift_sys::rights::with_rights_of;
use swift_sys::spawn::User;

/// A server that is to be started or reloaded.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// How it reads its config.
    pub kind: Kind,
    /// Its name, which is that of its section.
    pub name: String,
    /// Its config, as this process can reach it.
    pub config: PathBuf,
    /// The user as whom it runs before it changes to that of its config.
    pub runner: Runner,
    /// True when its addresses and ports are those of this process's network
    /// namespace.
    pub same_network: bool,
    /// True when a server of that user runs with this config by now, so that only
    /// another program can be in the way of its port.
    pub runs: bool,
}

/// The user as whom a server runs at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The user.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// The user when it is not this process's own.
    pub other: Option<User>,
    /// True when it has capabilities (capabilities(7)) though it is not root, so that
    /// its permissions are not known.
    pub is_capable: bool,
}

impl Runner {
    /// This process's own user, as whom a server runs that it starts.
    pub fn own() -> Runner {
        let own = User {
            uid: user::own(),
            gid: nix::unistd::getegid().as_raw(),
            groups: Vec::new(),
        };
        Runner::of(&own, Pid::own())
    }

    /// The user of a process that executes itself anew.
    pub fn of(user: &User, pid: Pid) -> Runner {
        Runner {
            uid: user.uid,
            gid: user.gid,
            other: (user.uid != user::own()).then(|| user.clone()),
            is_capable: has_capabilities(pid),
        }
    }

    pub(super) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The result of looking at files with its rights; none when that cannot be found out.
    pub(super) fn sees<T: Send>(&self, look: impl FnOnce() -> T + Send) -> Option<T> {
        match &self.other {
            Some(user) => with_rights_of(user, look).ok(),
            None => Some(look()),
        }
    }
}

/// A config, and which of its values the server uses.
pub(super) struct Conf<'a> {
    pub(super) preflight: &'a Preflight,
    pub(super) ini: Ini,
    /// The section of the server's own, if it is there: then this is beyond
    /// doubt a config for Swift's program.
    pub(super) section: Option<String>,
}

impl<'a> Conf<'a> {
    /// Reads it as the server will; none where its own check knows better.
    pub(super) fn read(preflight: &'a Preflight) -> Result<Option<Conf<'a>>> {
        let config = &preflight.config;
        let look = || (reading::all_readable(config), reading::read(config));
        let Some((readable, ini)) = preflight.runner.sees(look) else {
            return Ok(None);
        };
        readable?;
        let ini = match (ini, preflight.kind) {
            (Ok(ini), _) if ini.is_lossy => return Ok(None),
            (Ok(ini), _) => ini,
            // It has read the same files just now.
            (Err(_), Kind::Server) => return Ok(None),
            // A config that is gone is for others to tell of.
            (Err(finding), _) if finding.reason == Reason::Absent => return Ok(None),
            (Err(finding), Kind::Daemon) => return Err(finding),
        };
        let name = preflight.name.as_str();
        let section = match preflight.kind {
            Kind::Server => ini.named(&["app", "application"], name),
            Kind::Daemon => ini.has_section(name).then_some(name),
        };
        let conf = Conf {
            preflight,
            section: section.map(str::to_owned),
            ini,
        };
        if preflight.kind == Kind::Daemon {
            conf.check_daemon()?;
        }
        Ok(Some(conf))
    }

    /// The checks that make a daemon fail in readconf.
    fn check_daemon(&self) -> Result {
        if let Some(fault) = &self.ini.duplicate {
            return Err(Finding::syntax(fault));
        }
        let name = &self.preflight.name;
        if self.section.is_none() && self.ini.sections().next().is_some() {
            let text = format!("{}: no section {name}", self.preflight.config.display());
            let reason = Reason::Section;
            return Err(Finding { reason, text });
        }
        for key in self.ini.keys(name) {
            let value = self.ini.get(name, key);
            value.map_err(|fault| Finding::syntax(&fault))?;
        }
        Ok(())
    }

    /// The value that the server gets for a key, if it is in the config.
    pub(super) fn get(&self, key: &str) -> Option<Value<'_>> {
        let found: Found = match (&self.section, self.preflight.kind) {
            (Some(section), Kind::Server) => self.ini.app_value(section, key),
            (Some(section), Kind::Daemon) => self.ini.get(section, key),
            (None, _) => self.ini.get(swift_records::ini::DEFAULT, key),
        };
        found.ok().flatten()
    }

    /// True when a missing key is missing in a config for Swift, not in one of something else.
    pub(super) fn is_swifts(&self) -> bool {
        self.section
            .as_deref()
            .is_some_and(|section| match self.preflight.kind {
                Kind::Server => self.ini.is_own(section, "use"),
                Kind::Daemon => true,
            })
    }

    /// A finding about a key: its place is named, or else the config.
    pub(super) fn finding(&self, key: &str, reason: Reason, why: impl Display) -> Finding {
        let text = match self.get(key) {
            Some(value) => format!("{}: {key}: {why}", value.place),
            None => format!("{}: {key}: {why}", self.preflight.config.display()),
        };
        Finding { reason, text }
    }

    /// True when it becomes its config's user: a server without workers serves as
    /// the user who starts it.
    pub(super) fn changes_user(&self) -> bool {
        let number = |key: &str| self.get(key).and_then(|value| int(&value.text));
        self.preflight.kind == Kind::Daemon
            || number("workers") != Some(0)
            || number("servers_per_port").is_some_and(|number| number != 0)
    }

    /// The user that the server becomes, if that is known (drop_privileges in
    /// Swift's utils).
    pub(super) fn user(&self) -> Result<Option<User>> {
        let value = self.get("user");
        let name = match &value {
            Some(value) => value.text.as_str(),
            None if self.is_swifts() => "swift",
            None => return Ok(None),
        };
        let not_set = if value.is_none() { "not set, and " } else { "" };
        let refuse = |why: String| self.finding("user", Reason::User, format!("{not_set}{why}"));
        let user = match user::look_up(name) {
            Known::User(user) => user,
            Known::Unknown => return Ok(None),
            // What is no name is a user of something else than Swift.
            Known::NoSuchUser if !self.is_swifts() && name.bytes().all(|b| b.is_ascii_digit()) => {
                return Ok(None);
            }
            Known::NoSuchUser => return Err(refuse(format!("no such user: {name}"))),
        };
        let runner = &self.preflight.runner;
        let is_same = (user.uid, user.gid) == (runner.uid, runner.gid);
        if runner.is_root() || runner.is_capable || is_same {
            return Ok(Some(user));
        }
        Err(refuse(format!("only root can become user {name}")))
    }
}
