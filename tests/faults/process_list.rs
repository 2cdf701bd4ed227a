//! What runs in the namespaces of a sandbox, counted from outside and by nothing but /proc, so that
//! no tool under test is asked about itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use test_helpers::{LIMIT, Sandbox, pidfd, run};

/// The tools, by the names under which they run.
const TOOLS: [&str; 7] = [
    "swift-init",
    "swift-resolve-servers",
    "swift-pidfile",
    "swift-check-config",
    "swift-signal",
    "swift-reload",
    "swift-spawn",
];

/// The processes of one sandbox's namespaces.
pub struct ProcessList {
    /// What /proc/PID/ns/pid leads to for all of them.
    namespace: PathBuf,
    /// The namespaces' own /proc, which has no other process: this machine may run very many.
    proc: PathBuf,
    run_dir: PathBuf,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Its pid in the namespace, as pid files have it.
    pub pid: i32,
    /// Its parent's pid there.
    pub parent: i32,
    /// Whether it waits for something and no signal is on its way to it.
    idle: bool,
    args: Vec<String>,
}

/// A server with its config, such as `object-server` and `/etc/swift/object-server/1.conf`.
pub type Instance = (String, String);

impl ProcessList {
    /// Of a sandbox that is in namespaces.
    pub fn new(sandbox: &Sandbox) -> ProcessList {
        let mut command = sandbox.command("readlink");
        let outcome = run(command.arg("/proc/self/ns/pid"));
        let mut processes = ProcessList {
            namespace: outcome.out().trim_end().into(),
            proc: PathBuf::new(),
            run_dir: sandbox.run_dir(),
        };
        let init = processes.pid_here(1).expect("a namespace has an init");
        processes.proc = PathBuf::from(format!("/proc/{init}/root/proc"));
        processes
    }

    /// All that run and are not ending.
    pub fn all(&self) -> Vec<Seen> {
        let inspect = |pid: i32| inspect(&self.proc.join(pid.to_string()));
        pids(&self.proc).filter_map(inspect).collect()
    }

    /// The pid that a process of the namespace has here.
    fn pid_here(&self, pid: i32) -> Option<i32> {
        pids(Path::new("/proc")).find(|here| {
            let proc = PathBuf::from(format!("/proc/{here}"));
            let is_inside = fs::read_link(proc.join("ns/pid")).is_ok_and(|n| n == self.namespace);
            is_inside && field(&proc, "NSpid:") == Some(pid.to_string())
        })
    }

    /// A process of the namespace, unless it is gone.
    fn open(&self, pid: i32) -> Option<OwnedFd> {
        pidfd::open(self.pid_here(pid)?)
    }

    /// The process with a pid in the namespace.
    ///
    /// # Panics
    /// When there is none.
    pub fn of(&self, pid: i32) -> Seen {
        let found = self.all().into_iter().find(|seen| seen.pid == pid);
        found.unwrap_or_else(|| panic!("there is no process {pid} in the namespace"))
    }

    /// The servers that run. Their workers, which have the same command line, are left out, and so
    /// is who checks a config.
    pub fn servers(&self) -> BTreeMap<Instance, Vec<i32>> {
        let all = self.all();
        let mut servers: BTreeMap<Instance, Vec<i32>> = BTreeMap::new();
        for seen in &all {
            let is_worker = |other: &Seen| other.pid == seen.parent && other.args == seen.args;
            if let Some(instance) = seen.instance()
                && !all.iter().any(is_worker)
            {
                servers.entry(instance).or_default().push(seen.pid);
            }
        }
        servers
    }

    /// Waits until no tool runs any more. A server counts as one until it has executed.
    ///
    /// # Panics
    /// When one is still there after the time that a test has.
    pub fn until_no_tool_runs(&self) {
        self.until_none(Seen::is_tool);
    }

    /// Waits until all is at rest: no tool runs, and no server has a signal on its way that may end it.
    ///
    /// # Panics
    /// When that takes longer than a test has.
    pub fn until_at_rest(&self) {
        let at_work = |seen: &Seen| !seen.idle && seen.instance().is_some();
        self.until_none(|seen| seen.is_tool() || at_work(seen));
    }

    fn until_none(&self, wanted: impl Fn(&Seen) -> bool) {
        let end = Instant::now() + LIMIT;
        loop {
            let all = self.all();
            let mut found = all.iter().filter(|seen| wanted(seen));
            let Some((seen, process)) = found.find_map(|seen| Some((seen, self.open(seen.pid)?)))
            else {
                return;
            };
            assert!(Instant::now() < end, "{seen:?} stays: {all:?}");
            // It may execute a server instead of ending, which no descriptor tells.
            pidfd::readable_within(&process, Duration::from_millis(5));
        }
    }

    /// The pid files, by their paths beneath the run directory, and what they hold.
    pub fn pid_files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        self.collect(&self.run_dir, &mut files);
        files
    }

    fn collect(&self, dir: &Path, files: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(dir).expect("the run directory is there") {
            let path = entry.expect("the run directory can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                self.collect(&path, files);
            } else if !name.starts_with('.') {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let path = path.strip_prefix(&self.run_dir).expect("it is beneath");
                files.insert(path.to_owned(), text.trim().to_owned());
            }
        }
    }

    /// Says what is wrong: two processes for one config, or a server without its pid file; and, when
    /// `all_told`, a pid file without its server.
    pub fn complaint(&self, all_told: bool) -> Option<String> {
        let (servers, mut files) = (self.servers(), self.pid_files());
        for (instance, pids) in &servers {
            if let [_, _, ..] = pids[..] {
                return Some(format!("{instance:?} runs more than once: {pids:?}"));
            }
            let file = pid_file(instance);
            let said = files.remove(&file);
            if said.as_deref() != Some(pids[0].to_string().as_str()) {
                let file = file.display();
                return Some(format!(
                    "{instance:?} runs as {pids:?}, and {file} holds {said:?}"
                ));
            }
        }
        (all_told && !files.is_empty()).then(|| format!("stale pid files: {files:?}"))
    }

    /// Kills a process and waits for its end.
    pub fn kill(&self, seen: &Seen) {
        if let Some(process) = self.open(seen.pid) {
            pidfd::kill(&process);
            until_readable(&process);
        }
    }

    /// Waits for the end of a process.
    ///
    /// # Panics
    /// When that takes longer than a test has.
    pub fn until_gone(&self, seen: &Seen) {
        if let Some(process) = self.open(seen.pid) {
            until_readable(&process);
        }
    }

    /// True if no process holds the lock of the run directory.
    pub fn lock_is_free(&self) -> bool {
        let Ok(lock) = File::open(self.run_dir.join(".swift-init.lock")) else {
            return true;
        };
        Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_ok()
    }
}

impl Seen {
    /// The basename of the program.
    pub fn name(&self) -> &str {
        self.args[0].rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is one of the tools. What executes something at this moment, or is about to end, has
    /// no command line, and may have been one.
    pub fn is_tool(&self) -> bool {
        TOOLS.contains(&self.name()) || self.name().is_empty()
    }

    /// The server and the config that its command line names, be it executed itself or a script.
    fn instance(&self) -> Option<Instance> {
        let at = usize::from(!self.name().starts_with("swift-"));
        let name = self.args.get(at)?.rsplit('/').next()?;
        let server = name.strip_prefix("swift-")?;
        let config = self.args.get(at + 1).filter(|arg| arg.ends_with(".conf"))?;
        let checks = self.args.iter().any(|arg| arg == "--test-config");
        (!checks).then(|| (server.to_owned(), config.clone()))
    }
}

fn until_readable(process: &OwnedFd) {
    assert!(pidfd::readable_within(process, LIMIT), "it stays");
}

/// The pids of the processes in a /proc.
fn pids(proc: &Path) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir(proc).expect("/proc is there");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The last word of a line of a process's status.
fn field(proc: &Path, name: &str) -> Option<String> {
    let status = fs::read_to_string(proc.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().last().map(str::to_owned)
}

fn inspect(proc: &Path) -> Option<Seen> {
    let field = |name| field(proc, name);
    let state = field("State:").filter(|state| !"(zombie)(dead)".contains(state.as_str()))?;
    let line = fs::read(proc.join("cmdline")).ok()?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let pending = ["SigPnd:", "ShdPnd:"].map(field);
    let none = |mask: &Option<String>| {
        mask.as_deref()
            .is_some_and(|m| m.trim_matches('0').is_empty())
    };
    Some(Seen {
        pid: proc.file_name()?.to_str()?.parse().ok()?,
        parent: field("PPid:")?.parse().ok()?,
        idle: state == "(sleeping)" && pending.iter().all(none),
        args: line
            .split(|byte| *byte == 0)
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect(),
    })
}

/// Where the pid file of an instance lies beneath the run directory: its config's path, with the name
/// of the server in the place of its type's.
pub fn pid_file((server, config): &Instance) -> PathBuf {
    let beneath = config.strip_prefix("/etc/swift/").unwrap_or(config);
    let stem = beneath.split(['/', '.']).next().unwrap_or_default();
    let rest = beneath[stem.len()..].trim_end_matches(".conf");
    PathBuf::from(format!("{server}{rest}.pid"))
}

/// A command in which the kernel of the namespaces looks as if it were older than 6.9, which cannot
/// signal a process group through a pidfd: seccomp(2) refuses the flag as such a kernel does.
pub fn on_old_kernel(sandbox: &Sandbox, line: &str) -> Command {
    let mut command = sandbox.command("python3");
    command.args(["-c", include_str!("old_kernel.py"), "sh", "-c", line]);
    command
}
