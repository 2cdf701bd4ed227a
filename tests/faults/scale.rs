//! Two thousand instances under a thousand descriptors: what a tool holds for each fits, in windows,
//! into the limit, and nothing is lost at their edges.
//!
//! The servers are tiny-server, since a fake server is a hundred times as large.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use test_helpers::{LIMIT, Outcome, Sandbox, run, tools_dir};

use crate::failpoints::Points;
use crate::soak::times;

/// Instances that are managed together.
struct Crowd {
    sandbox: Sandbox,
    count: usize,
    /// How many descriptors each tool may have.
    descriptors: usize,
    /// The signals that ended servers, one a line.
    records: Receiver<String>,
    /// The fifos of which each lets servers go on as long as it is open.
    open: Vec<File>,
}

impl Crowd {
    fn new(count: usize, descriptors: usize) -> Crowd {
        let sandbox = Sandbox::in_namespace();
        let program = sandbox.path("bin/swift-object-server");
        symlink(tools_dir().join("tiny-server"), program).expect("a link can be made");
        for number in 1..=count {
            sandbox.conf(&format!("object-server/{number}.conf"), "");
        }
        for fifo in ["ready", "record", "gate"] {
            let mode = nix::sys::stat::Mode::S_IRWXU;
            nix::unistd::mkfifo(&sandbox.path(fifo), mode).expect("a fifo can be made");
        }
        let record = File::options()
            .read(true)
            .write(true)
            .open(sandbox.path("record"))
            .expect("it is ours");
        let (to, records) = channel();
        thread::spawn(move || {
            for line in BufReader::new(record).lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        let crowd = Crowd {
            sandbox,
            count,
            descriptors,
            records,
            open: Vec::new(),
        };
        let raised = crowd.run(&format!("ulimit -n {}", descriptors + 1));
        assert_ne!(raised.code(), 0, "the limit is one that can be raised");
        crowd
    }

    /// A line of shell under the limit, which cannot be raised.
    fn command(&self, line: &str) -> Command {
        let script = format!("ulimit -n {} && {line}", self.descriptors);
        let mut command = self.sandbox.command("setpriv");
        if nix::unistd::geteuid().is_root() {
            command.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]);
        }
        command
            .args(["sh", "-c", &script])
            .env("TINY_SERVER", self.sandbox.path(""));
        command
    }

    fn run(&self, line: &str) -> Outcome {
        run(&mut self.command(line))
    }

    /// The same for one that ends all servers, none of which ends before each of them has got the
    /// signal of that number. From then on they end without waiting.
    fn run_through_the_gate(&mut self, line: &str, signal: &str) -> Outcome {
        let mut command = self.command(line);
        let ending = thread::spawn(move || run(&mut command));
        for number in 0..self.count {
            match self.records.recv_timeout(LIMIT) {
                Ok(record) => assert_eq!(record, signal),
                Err(error) => panic!("{number} of {} got it: {error}", self.count),
            }
        }
        self.open("gate");
        ending.join().expect("it ended")
    }

    /// The same for one that starts all servers, none of which is ready before swift-spawn awaits as
    /// many as it can.
    fn start(&mut self, line: &str) -> Outcome {
        let points = Points::new(&self.sandbox);
        let full = points.pause_at("swift-spawn:full");
        let mut command = self.command(line);
        points.apply(&mut command);
        let starting = thread::spawn(move || run(&mut command));
        full.reached();
        self.open("ready");
        drop(full);
        starting.join().expect("it ended")
    }

    /// Lets all go on, whenever they come.
    fn open_for_all(&mut self, fifo: &str) {
        let mut options = File::options();
        let opened = options.read(true).write(true).open(self.sandbox.path(fifo));
        self.open.push(opened.expect("it is a fifo"));
    }

    fn open(&mut self, fifo: &str) {
        let opened = File::options().write(true).open(self.sandbox.path(fifo));
        self.open.push(opened.expect("it is a fifo"));
    }

    fn pid_files(&self) -> usize {
        let folder = fs::read_dir(self.sandbox.run_dir().join("object-server"));
        folder.map_or(0, |entries| entries.count())
    }

    /// The pids by the numbers of their configs, after a look whether each config has one process, and
    /// a pid file that says which.
    fn running(&self) -> BTreeMap<usize, i32> {
        let outcome = self.run("grep -a -s . /proc/[0-9]*/cmdline");
        let mut pids: BTreeMap<usize, i32> = BTreeMap::new();
        for line in outcome.out().lines() {
            let (path, words) = line.split_once(':').expect("a file and its line");
            let conf = words.strip_prefix("swift-object-server\0/etc/swift/object-server/");
            let Some(number) = conf.and_then(|conf| conf.strip_suffix(".conf\0")) else {
                continue;
            };
            let pid = path.split('/').nth(2).expect("a pid");
            let (number, pid) = (number.parse().expect("a number"), pid.parse().expect("one"));
            let other = pids.insert(number, pid);
            assert_eq!(other, None, "{number}.conf has another process, {pid}");
        }
        for (number, pid) in &pids {
            let file = self
                .sandbox
                .run_dir()
                .join(format!("object-server/{number}.pid"));
            let text = fs::read_to_string(file).expect("who runs has a pid file");
            assert_eq!(text, pid.to_string());
        }
        pids
    }
}

/// What a command came to: nothing on standard error, and so many lines of each kind on standard output.
fn told(outcome: &Outcome, wanted: &[(&str, usize)]) {
    let (out, err) = (outcome.out(), outcome.err());
    assert_eq!((outcome.code(), err.as_str()), (0, ""), "{out}");
    let warning = |line: &&str| !line.contains("Unable to modify");
    let lines: Vec<&str> = out.lines().filter(warning).collect();
    for (what, count) in wanted {
        let found = lines.iter().filter(|line| line.contains(what)).count();
        assert_eq!(found, *count, "{what}");
    }
    let all: usize = wanted.iter().map(|(_, count)| count).sum();
    assert_eq!(lines.len(), all, "{lines:#?}");
}

fn all_new(old: &BTreeMap<usize, i32>, new: &BTreeMap<usize, i32>) -> bool {
    old.len() == new.len() && new.iter().all(|(number, pid)| old.get(number) != Some(pid))
}

/// Seen failing when swift-spawn, swift-reload or swift-signal hold all of their processes at a time, and
/// when swift-signal awaits some before it has signalled the rest: the window is never full, or records
/// are missing, and both are waited for in vain.
#[test]
fn two_thousand_are_started_seen_reloaded_and_stopped_in_one_command_each() {
    let n = 2000;
    let mut crowd = Crowd::new(n, 1024);
    told(
        &crowd.start("swift-init object start"),
        &[("Starting object-server...(", n)],
    );
    let started = crowd.running();
    assert_eq!(started.len(), n);
    told(
        &crowd.run("swift-init object status"),
        &[("object-server running (", n)],
    );
    let reload = crowd.run("swift-init object reload-seamless");
    told(&reload, &[("  signal: 10", n)]);
    assert_eq!(crowd.running(), started);
    let stop = crowd.run_through_the_gate("swift-init -k 3600 object stop", "15");
    told(
        &stop,
        &[("  signal: 15", n), (") appears to have stopped", n)],
    );
    assert_eq!(crowd.running().len(), 0);
    assert_eq!(crowd.pid_files(), 0);
}

/// Two thousand of them take too long for `make test`, since each command checks all configs and starts
/// all servers; fewer descriptors make as many windows of fewer servers.
fn smaller_crowd() -> Crowd {
    Crowd::new(times(250, 2000), times(192, 1024))
}

/// Fails as the first.
#[test]
fn a_crowd_is_restarted_in_one_command() {
    let mut crowd = smaller_crowd();
    let n = crowd.count;
    told(
        &crowd.start("swift-init object start"),
        &[("Starting object-server...(", n)],
    );
    let first = crowd.running();
    let ended = (") appears to have stopped", n);
    let starting = ("Starting object-server...(", n);
    let restart = crowd.run_through_the_gate("swift-init -k 3600 object restart", "15");
    told(&restart, &[("  signal: 15", n), ended, starting]);
    let second = crowd.running();
    assert!(all_new(&first, &second));
    told(
        &crowd.run("swift-init -k 3600 object reload"),
        &[("  signal: 1", n), ended, starting],
    );
    let third = crowd.running();
    assert!(all_new(&second, &third));
    told(
        &crowd.run("swift-init -k 3600 object shutdown"),
        &[("  signal: 1", n), ended],
    );
    assert_eq!(crowd.running().len(), 0);
}

/// Fails as the first.
#[test]
fn a_crowd_goes_through_pipelines() {
    let mut crowd = smaller_crowd();
    let n = crowd.count;
    let rows = "swift-resolve-servers object | swift-pidfile --clean";
    let (started, ready) = (("\tstarted\t-", n), ("\tready\t-", n));
    let start = crowd.start(&format!("{rows} | swift-spawn --keep-limits"));
    told(&start, &[started, ready]);
    let first = crowd.running();
    assert_eq!(first.len(), n);
    told(
        &crowd.run(&format!("{rows} --running")),
        &[("\trunning\t-", n)],
    );
    told(
        &crowd.run(&format!("{rows} | swift-reload")),
        &[("\tsignalled\t-", n), ("\treloaded\t-", n)],
    );
    assert_eq!(crowd.running(), first);
    let line = format!(
        "{rows} | swift-check-config | swift-signal --wait=3600 graceful | swift-spawn --keep-limits"
    );
    told(&crowd.run_through_the_gate(&line, "1"), &[started, ready]);
    assert!(all_new(&first, &crowd.running()));
    let stop = crowd.run(&format!("{rows} | swift-signal --wait=3600 stop"));
    told(&stop, &[("\tstopped\t-", n)]);
    assert_eq!(crowd.running().len(), 0);
    assert_eq!(crowd.pid_files(), 0);
}

/// A check takes two descriptors, and as many are made at a time as there is memory for. Fails when one
/// for which no descriptor is left counts as bad.
#[test]
fn configs_are_good_however_few_descriptors_there_are() {
    let n = 100;
    let mut crowd = Crowd::new(n, 48);
    let rows = "swift-resolve-servers object | swift-pidfile";
    let check = crowd.run(&format!("{rows} | swift-check-config"));
    told(&check, &[("\tstopped\tabsent", n)]);
    let ready = ("\tready\t-", n);
    crowd.open_for_all("ready");
    let start = crowd.run(&format!("{rows} | swift-spawn --keep-limits"));
    told(&start, &[("\tstarted\t-", n), ready]);
    let reload = crowd.run(&format!("{rows} | swift-reload"));
    told(&reload, &[("\tsignalled\t-", n), ("\treloaded\t-", n)]);
}
