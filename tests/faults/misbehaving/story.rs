//! A fixture with a few object servers, and stories that are played on it.
//!
//! A story is text: `$ ` begins a command, and what it is to come to follows. `swift-init` gets the
//! directories of the fixture; `rows` stands for swift-resolve-servers and swift-pidfile, whose rows
//! the tools that follow it after a `|` get. Then come
//!
//! - the lines of its standard output, and after `! ` those of its standard error, in any order,
//!   since what is told of different servers may come in any;
//! - `= STATUS; WHAT RUNS`: its exit status, and each process that servers have entered into the
//!   sandbox's book and that runs then: `1` is the process in the pid file of `1.conf`, `stray 1`
//!   another one with that config, and others go by the first word of their command line.
//!
//! The pids of servers are written `<1>`, paths in the sandbox without its own, and start times `T`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use test_helpers::{LIMIT, Outcome, Sandbox, pidfd, run};

/// Where it is played.
pub struct Fixture {
    /// The servers' directories.
    pub sandbox: Sandbox,
    /// The configs' names by the pids that their pid files have held.
    names: BTreeMap<i32, String>,
}

impl Fixture {
    /// Servers with these settings; the first has 1.conf, and so on.
    pub fn new(servers: &[&str]) -> Fixture {
        let sandbox = Sandbox::new();
        sandbox.install(&["object-server", "object-updater"]);
        for (settings, number) in servers.iter().zip(1..) {
            sandbox.conf(&format!("object-server/{number}.conf"), settings);
        }
        Fixture {
            sandbox,
            names: BTreeMap::new(),
        }
    }

    /// A fifo of that name, and its path as a setting has it.
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.sandbox.path(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo can be made");
        path
    }

    /// A tool that looks at this fixture.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = self.sandbox.command(name);
        command.arg(self.word("--swift-dir=", self.sandbox.etc()));
        if matches!(name, "swift-init" | "swift-resolve-servers") {
            command.arg(self.word("--run-dir=", self.sandbox.run_dir()));
        }
        command
    }

    fn word(&self, option: &str, path: PathBuf) -> String {
        format!("{option}{}", path.display())
    }

    /// Plays a story.
    ///
    /// # Panics
    /// When anything is not as it says, with what was.
    pub fn play(&mut self, story: &str) {
        for scene in story.split("$ ").skip(1) {
            let mut lines = scene.lines().map(str::trim).filter(|line| !line.is_empty());
            let line = lines.next().expect("a command");
            let mut wanted: Vec<String> = lines.map(str::to_owned).collect();
            let end = wanted.pop().expect("an end");
            wanted.sort();
            self.learn();
            let outcome = run(&mut self.command(line));
            self.learn();
            let mut told = self.told(&outcome);
            told.sort();
            let ended = |fixture: &Fixture| format!("= {}; {}", outcome.code(), fixture.running());
            let shown = |lines: &[String], end: &str| format!("{}\n{end}", lines.join("\n"));
            // Whoever was killed with its group may take a moment to be gone.
            while told == wanted && ended(self) != end && self.one_ends(&end) {}
            assert!(
                told == wanted && ended(self) == end,
                "\n$ {line}\nwas:\n{}\nwanted:\n{}\n",
                shown(&told, &ended(self)),
                shown(&wanted, &end),
            );
        }
    }

    /// The command that a line of a story stands for.
    pub fn command(&self, line: &str) -> Command {
        if let Some(words) = line.strip_prefix("swift-init ") {
            let mut command = self.tool("swift-init");
            command.args(words.split_whitespace());
            return command;
        }
        let (etc, run) = (self.sandbox.etc(), self.sandbox.run_dir());
        let etc = format!("--swift-dir={}", etc.display());
        let rows = format!(
            "swift-resolve-servers {etc} --run-dir={} object | swift-pidfile {etc}",
            run.display()
        );
        let stages = line
            .split(" | ")
            .map(|fixture| match fixture.split_once(' ') {
                None if fixture == "rows" => rows.clone(),
                None => format!("{fixture} {etc}"),
                Some((tool, words)) => format!("{tool} {etc} {words}"),
            });
        let mut command = self.sandbox.command("sh");
        command.args(["-c", &stages.collect::<Vec<_>>().join(" | ")]);
        command
    }

    /// Remembers whose pids stand in pid files.
    fn learn(&mut self) {
        for (pid, name) in self.tracked() {
            self.names.insert(pid, name);
        }
    }

    fn tracked(&self) -> BTreeMap<i32, String> {
        let folder = self.sandbox.run_dir().join("object-server");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let pid = |path: PathBuf| {
            let name = path.file_stem()?.to_str()?.to_owned();
            Some((fs::read_to_string(path).ok()?.trim().parse().ok()?, name))
        };
        entries.filter_map(|entry| pid(entry.path())).collect()
    }

    /// What was said, in lines, without what differs from run to run.
    fn told(&self, outcome: &Outcome) -> Vec<String> {
        let (output, errors) = (outcome.out(), outcome.err());
        let errors = errors.lines().map(|line| format!("! {line}"));
        // Whether limits can be raised depends on who runs the tests, and where.
        let limit =
            |line: &str| !line.contains("Unable to modify") && !line.contains("cannot raise the");
        let all = output.lines().map(str::to_owned).chain(errors);
        // What status says of those that are down is in tools/swift-init/tests/looking.rs.
        let down =
            |line: &str| line.starts_with("! swift-init: ") && line.contains(") is not running: ");
        let all = all.filter(|line| !line.is_empty() && limit(line) && !down(line));
        all.map(|line| self.plain(&line)).collect()
    }

    fn plain(&self, line: &str) -> String {
        let here = format!("{}/", self.sandbox.path("").display()).replace("//", "/");
        let line = line.replace(&here, "");
        let mut columns: Vec<String> = line.split('\t').map(str::to_owned).collect();
        if columns.len() == 7 && columns[4] != "-" {
            columns[4] = "T".to_owned();
        }
        let line = columns.join(" ");
        let mut out = String::new();
        let mut rest = line.as_str();
        while let Some(from) = rest.find(|c: char| c.is_ascii_digit()) {
            let length = rest[from..].find(|c: char| !c.is_ascii_digit());
            let (before, digits) = rest.split_at(from);
            let (digits, after) = digits.split_at(length.unwrap_or(digits.len()));
            let name = digits
                .parse()
                .ok()
                .and_then(|pid: i32| self.names.get(&pid));
            out.push_str(before);
            match name {
                Some(name) => out.push_str(&format!("<{name}>")),
                None => out.push_str(digits),
            }
            rest = after;
        }
        out.push_str(rest);
        out.trim_end().to_owned()
    }

    /// What runs, in words.
    fn running(&self) -> String {
        let names: Vec<String> = self.alive().into_iter().map(|(_, name)| name).collect();
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        }
    }

    /// The processes in the book that run, with their names, sorted by these.
    pub fn alive(&self) -> Vec<(i32, String)> {
        let book = fs::read_to_string(self.sandbox.path("pids")).expect("the book can be read");
        let tracked = self.tracked();
        let entered: BTreeMap<i32, &str> = book
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(pid, start)| Some((pid.parse().ok()?, start)))
            .collect();
        let name = |(pid, start): (i32, &str)| {
            let line = line_of(pid, start)?;
            let conf = line.split('\0').find_map(|word| word.strip_suffix(".conf"));
            Some((
                pid,
                match (
                    tracked.get(&pid),
                    conf.and_then(|conf| conf.rsplit('/').next()),
                ) {
                    (Some(name), _) => name.clone(),
                    (None, Some(conf)) => format!("stray {conf}"),
                    (None, None) => line.split('\0').next()?.to_owned(),
                },
            ))
        };
        let mut all: Vec<(i32, String)> = entered.into_iter().filter_map(name).collect();
        all.sort_by(|one, other| one.1.cmp(&other.1));
        all
    }

    /// Waits for the end of a process that is not to run; `false` when there is none, or when it does
    /// not end.
    fn one_ends(&self, end: &str) -> bool {
        let alive = self.alive();
        let odd = alive.iter().find(|(_, name)| {
            let so_many =
                |names: &mut dyn Iterator<Item = &str>| names.filter(|n| n == name).count();
            let wanted = end.split("; ").nth(1).unwrap_or_default();
            so_many(&mut alive.iter().map(|(_, name)| name.as_str()))
                > so_many(&mut wanted.split(", "))
        });
        odd.is_some_and(|(pid, _)| ends(*pid))
    }
}

/// The command line of the process that has this pid since then; none when it has ended.
fn line_of(pid: i32, start: &str) -> Option<String> {
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") || *fields.get(19)? != start {
            return None;
        }
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        // It is empty for a moment in exec, and in exit before it is a zombie.
        if !line.is_empty() {
            return Some(line);
        }
        std::thread::yield_now();
    }
}

/// Waits for the end of a process; `false` when it does not come in the time that a test has.
pub fn ends(pid: i32) -> bool {
    pidfd::open(pid).is_none_or(|process| pidfd::readable_within(&process, LIMIT))
}
