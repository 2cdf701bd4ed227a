//! Several commands at once: one process a config, and every command told the truth.
//!
//! To see the original fail: FAULTS_ORIGINAL=PATH names its swift-init, which is run instead of ours.

mod reported;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::sync::Barrier;
use std::thread;

use test_helpers::{Outcome, SERVERS, Sandbox, run};

use crate::process_list::{Instance, ProcessList};
use crate::soak::times;
use reported::{Told, all_instances};

/// How many commands run at once.
const AT_ONCE: usize = 16;

/// Configs of all servers, several of each type. The expirer takes those of the object servers.
const CONFIGS: &[(&str, &str)] = &[
    ("account-server/1.conf", ""),
    ("account-server/2.conf", ""),
    ("container-server/1.conf", ""),
    ("container-server/2.conf", ""),
    ("container-reconciler.conf", ""),
    ("object-server/1.conf", "[object-expirer]"),
    ("object-server/2.conf", "[object-expirer]"),
    ("object-server/3.conf", "[object-expirer]"),
    ("proxy-server.conf", ""),
];

/// What a mix is made of, and on which servers.
const MIX: &[&str] = &[
    "all start",
    "all stop",
    "all restart",
    "main reload",
    "all reload-seamless",
    "all status",
    "object-server container-sync start",
    "all no-wait",
    "all kill",
    "main restart",
    "all force-reload",
    "all shutdown",
    "rest stop",
    "object-server object-expirer restart",
    "main start",
    "all reload",
];

struct Site {
    sandbox: Sandbox,
    processes: ProcessList,
}

impl Site {
    fn new() -> Site {
        let sandbox = Sandbox::in_namespace();
        sandbox.install(&SERVERS);
        for (name, lines) in CONFIGS {
            sandbox.conf(name, lines);
        }
        if let Some(original) = std::env::var_os("FAULTS_ORIGINAL") {
            let link = sandbox.path("bin/swift-init");
            symlink(original, link).expect("a link can be made");
        }
        let processes = ProcessList::new(&sandbox);
        Site { sandbox, processes }
    }

    fn init(&self, line: &str) -> Outcome {
        run(self.sandbox.command("swift-init").args(line.split(' ')))
    }

    /// Runs commands that all begin at the same time.
    fn at_once(&self, lines: &[&str]) -> Vec<Told> {
        let barrier = Barrier::new(lines.len());
        let one = |line: &str| {
            barrier.wait();
            Told::new(line, self.init(line))
        };
        thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> = lines
                .iter()
                .map(|line| scope.spawn(move || one(line)))
                .collect();
            let told = threads.into_iter().map(|thread| thread.join());
            told.map(|told| told.expect("it ends in time")).collect()
        })
    }

    /// All is down and then up again, by one command each.
    fn obeys(&self, what: &str) {
        let stop = self.init("all stop");
        assert!(stop.code() <= 1, "{what}: {stop}");
        assert_eq!(self.processes.servers(), BTreeMap::new(), "{what}: {stop}");
        assert_eq!(self.processes.complaint(true), None, "{what}: {stop}");
        let start = self.init("all start");
        assert_eq!(start.code(), 0, "{what}: {start}");
        self.all_run_once(what);
        let stop = self.init("all stop");
        assert_eq!(stop.code(), 0, "{what}: {stop}");
        assert_eq!(self.processes.servers(), BTreeMap::new(), "{what}: {stop}");
        assert_eq!(
            self.processes.pid_files(),
            BTreeMap::new(),
            "{what}: {stop}"
        );
    }

    fn all_run_once(&self, what: &str) {
        assert_eq!(self.processes.complaint(true), None, "{what}");
        let up: Vec<Instance> = self.processes.servers().into_keys().collect();
        assert_eq!(up, all_instances(), "{what}");
    }
}

/// Half of the commands name their servers, so that a start which starts nothing exits 1.
///
/// The original leaves two processes of one config behind, of which only the last has a pid file. Ours
/// does when swift-spawn takes no lock, and when it does not look again under the lock.
#[test]
fn concurrent_starts_start_each_config_once() {
    let site = Site::new();
    let names = SERVERS.join(" ");
    let strict = format!("{names} start");
    let lines: Vec<&str> = ["all start", &strict]
        .into_iter()
        .cycle()
        .take(AT_ONCE)
        .collect();
    for round in 0..times(2, 50) {
        let what = format!("round {round}");
        let told = site.at_once(&lines);
        site.all_run_once(&what);
        let servers = site.processes.servers();
        for one in &told {
            one.started_or_found(&servers);
        }
        // Each was started by one of them, and by one only.
        for instance in servers.keys() {
            let by = told
                .iter()
                .filter(|told| told.has_started(instance))
                .count();
            assert_eq!(by, 1, "{what}: {instance:?}: {told:#?}");
        }
        site.obeys(&what);
    }
}

/// Whatever else they say, no two processes have one config, none is without its pid file, and what
/// each command claims is so. The original leaves several processes of one config behind. Ours fails when
/// a pid file is removed without a look whether it still holds what it held, or whether that lies.
#[test]
fn concurrent_commands_leave_a_consistent_state() {
    let site = Site::new();
    for round in 0..times(4, 50) {
        let what = format!("round {round}");
        let mut lines: Vec<&str> = MIX.to_vec();
        lines.rotate_left(round % MIX.len());
        // Each round begins in another state.
        if round % 2 == 0 {
            assert_eq!(site.init("all start").code(), 0, "{what}");
        }
        let told = site.at_once(&lines);
        site.processes.until_at_rest();
        let complaint = site.processes.complaint(false);
        assert_eq!(complaint, None, "{what}: {told:#?}");
        let servers = site.processes.servers();
        for one in &told {
            one.is_consistent(&servers);
        }
        let last = Told::new("all status", site.init("all status"));
        last.is_consistent(&servers);
        last.shows_just(&servers);
        assert_eq!(site.processes.complaint(true), None, "{what}");
        site.obeys(&what);
    }
}
