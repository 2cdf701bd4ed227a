//! What a command says, taken at its word.

use std::collections::{BTreeMap, BTreeSet};

use test_helpers::Outcome;

use crate::process_list::Instance;

type Servers = BTreeMap<Instance, Vec<i32>>;

/// A command and what it said.
#[derive(Debug)]
pub struct Told {
    line: String,
    code: i32,
    out: String,
    err: String,
    /// `Starting SERVER...(CONFIG)`.
    starting: BTreeSet<Instance>,
    /// `SERVER running (PID - CONFIG)`.
    running: BTreeMap<Instance, i32>,
    /// `SERVER (PID) appears to have stopped`.
    stopped: Vec<(String, i32)>,
}

impl Told {
    pub fn new(line: &str, outcome: Outcome) -> Told {
        let (out, err) = (outcome.out(), outcome.err());
        Told {
            line: line.to_owned(),
            code: outcome.code(),
            starting: out.lines().filter_map(starting).collect(),
            running: out.lines().filter_map(running).collect(),
            stopped: out.lines().filter_map(stopped).collect(),
            out,
            err,
        }
    }

    /// Of a start among others that are starts as well: all that it speaks of runs, and as the process
    /// that it names.
    ///
    /// # Panics
    /// When it did not tell the truth.
    pub fn started_or_found(&self, servers: &Servers) {
        for (instance, pid) in &self.running {
            assert_eq!(servers.get(instance), Some(&vec![*pid]), "{self:#?}");
        }
        let spoken_of: BTreeSet<&Instance> =
            self.starting.iter().chain(self.running.keys()).collect();
        assert_eq!(spoken_of, servers.keys().collect(), "{self:#?}");
        assert_eq!(self.err, "", "{self:#?}");
        let names: BTreeSet<&str> = servers.keys().map(|(name, _)| name.as_str()).collect();
        let mut idle = false;
        for name in names {
            let mut of_it = servers.keys().filter(|instance| instance.0 == name);
            let started = of_it.any(|instance| self.has_started(instance));
            let said = self.out.contains(&format!("{name} already started..."));
            assert_eq!(said, !started, "{name}: {self:#?}");
            idle |= !started;
        }
        let strict = !self.line.starts_with("all ");
        assert_eq!(self.code, i32::from(strict && idle), "{self:#?}");
    }

    /// Whether it says that it started an instance.
    pub fn has_started(&self, instance: &Instance) -> bool {
        self.starting.contains(instance) && !self.running.contains_key(instance)
    }

    /// Whether its exit status goes with its words, and its words with what runs now.
    ///
    /// # Panics
    /// When they do not.
    pub fn is_consistent(&self, servers: &Servers) {
        for (server, pid) in &self.stopped {
            let runs = servers
                .iter()
                .any(|(one, pids)| one.0 == *server && pids.contains(pid));
            assert!(!runs, "{pid} has not stopped: {self:#?}");
        }
        for line in self.err.lines() {
            assert!(line.starts_with("swift-"), "{line}: {self:#?}");
            for blame in [
                "without reporting a result",
                "was ended by",
                "exited with",
                "panicked",
            ] {
                assert!(!line.contains(blame), "{line}: {self:#?}");
            }
        }
        let reasons = ["already started...", "No ", "Unable to "];
        let has_reason = !self.err.is_empty() || reasons.iter().any(|r| self.out.contains(r));
        assert!(
            self.code == 0 || (self.code == 1 && has_reason),
            "{self:#?}"
        );
        let command = self.line.rsplit(' ').next().unwrap_or_default();
        match (command, self.code) {
            ("status", _) => {
                let none = self.out.lines().any(|line| line.starts_with("No "));
                assert_eq!(self.code, i32::from(none), "{self:#?}");
            }
            ("stop" | "shutdown", 0) => {
                assert!(!self.stopped.is_empty() && self.err.is_empty(), "{self:#?}");
            }
            // What was started was stopped by another command before it was ready.
            (_, 0) => assert!(
                self.err.lines().all(|line| line.ends_with(STOPPED)),
                "{self:#?}"
            ),
            _ => {}
        }
    }

    /// Whether it shows what runs and nothing else.
    ///
    /// # Panics
    /// When it does not.
    pub fn shows_just(&self, servers: &Servers) {
        let wanted = servers
            .iter()
            .map(|(instance, pids)| (instance.clone(), pids[0]))
            .collect();
        assert_eq!(self.running, wanted, "{self:#?}");
    }
}

/// What is said of a server that ended well, and was to go on.
const STOPPED: &str = ": has ended with exit status 0, so it does not run";

fn starting(line: &str) -> Option<Instance> {
    let (server, config) = line.strip_prefix("Starting ")?.split_once("...(")?;
    Some((server.to_owned(), config.strip_suffix(')')?.to_owned()))
}

fn running(line: &str) -> Option<(Instance, i32)> {
    let (server, rest) = line.split_once(" running (")?;
    let (pid, config) = rest.strip_suffix(')')?.split_once(" - ")?;
    Some(((server.to_owned(), config.to_owned()), pid.parse().ok()?))
}

fn stopped(line: &str) -> Option<(String, i32)> {
    let (server, pid) = line
        .strip_suffix(") appears to have stopped")?
        .split_once(" (")?;
    Some((server.to_owned(), pid.parse().ok()?))
}

/// Each server with each config of its type.
pub fn all_instances() -> Vec<Instance> {
    let mut all = Vec::new();
    for server in test_helpers::SERVERS {
        let configs: &[&str] = match server {
            "container-reconciler" => &["container-reconciler.conf"],
            "proxy-server" => &["proxy-server.conf"],
            _ if server.starts_with("account") => {
                &["account-server/1.conf", "account-server/2.conf"]
            }
            _ if server.starts_with("container") => {
                &["container-server/1.conf", "container-server/2.conf"]
            }
            _ => &[
                "object-server/1.conf",
                "object-server/2.conf",
                "object-server/3.conf",
            ],
        };
        let paths = configs.iter().map(|config| format!("/etc/swift/{config}"));
        all.extend(paths.map(|path| (server.to_owned(), path)));
    }
    all
}
