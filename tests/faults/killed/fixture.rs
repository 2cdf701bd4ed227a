//! The servers that are there before a tool is killed, and what has to hold afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_helpers::{Outcome, Sandbox, run, tools_dir};

use crate::failpoints::Points;
use crate::process_list::{Instance, ProcessList, on_old_kernel, pid_file};

/// A main server, which can check its config and be reloaded, and a daemon, which cannot.
pub const SERVERS: [&str; 2] = ["object-server", "object-replicator"];

/// Their configs.
pub const CONFIGS: [&str; 2] = ["object-server/1.conf", "object-server/2.conf"];

/// What is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing runs.
    Down,
    /// All run.
    Up,
    /// Of each server one runs. The pid file of the others is stale, or a stranger's.
    Half,
    /// Nothing runs, and the pid files are stale or a stranger's.
    Lies,
    /// All run, and one ignores SIGTERM.
    Stubborn,
    /// Nothing runs, and one would not become ready and ignores SIGTERM.
    Slow,
    /// All run, and the check of one config takes for ever.
    SlowCheck,
    /// All run, each with two workers.
    Workers,
    /// Nothing runs, and the interpreter of one program is missing.
    NoInterpreter,
}

/// A sandbox in namespaces, with its points and its servers.
pub struct Scene {
    pub sandbox: Sandbox,
    pub points: Points,
    pub processes: ProcessList,
    never: PathBuf,
}

impl Scene {
    /// All installed, nothing running.
    pub fn new() -> Scene {
        let sandbox = Sandbox::in_namespace();
        sandbox.install(&SERVERS);
        let never = sandbox.path("never");
        nix::unistd::mkfifo(&never, nix::sys::stat::Mode::S_IRWXU).expect("a fifo can be made");
        let (points, processes) = (Points::new(&sandbox), ProcessList::new(&sandbox));
        let scene = Scene {
            sandbox,
            points,
            processes,
            never,
        };
        scene.mend();
        scene
    }

    /// Configs and programs as they should be. What waits for ever goes on.
    fn mend(&self) {
        let both = File::options().read(true).write(true).open(&self.never);
        drop(both.expect("the fifo is ours"));
        for config in CONFIGS {
            self.sandbox.conf(config, "");
        }
        let _ = fs::remove_file(self.sandbox.etc().join("swift-init.toml"));
        self.reinstall(SERVERS[0]);
    }

    /// Writes a script. Another process does, since while this one has it open to be written, a test
    /// beside this one may fork: then whoever executes it meets a busy file.
    pub fn script(&self, path: &Path, text: &str) {
        let source = self.sandbox.path("script");
        fs::write(&source, text).expect("the sandbox is ours");
        self.copy(&source, path);
    }

    /// Copies a program, likewise.
    pub fn copy(&self, source: &Path, path: &Path) {
        let mut command = self.sandbox.command("install");
        let outcome = run(command.args(["-m", "755"]).args([source, path]));
        assert_eq!(outcome.code(), 0, "{outcome}");
    }

    /// Puts the fake server into the place of whatever a server's program is.
    pub fn reinstall(&self, server: &str) {
        let program = self.sandbox.path(format!("bin/swift-{server}"));
        fs::remove_file(&program).expect("it is there");
        symlink(tools_dir().join("fake-server"), &program).expect("a link can be made");
    }

    /// Sets the scene; everything is down and mended before.
    pub fn set(&self, before: Before) {
        let never = self.never.display();
        let one = |lines: &str| drop(self.sandbox.conf(CONFIGS[0], lines));
        match before {
            Before::Down | Before::Up | Before::Half | Before::Lies | Before::SlowCheck => {}
            Before::Stubborn => one("ignore = TERM"),
            Before::Slow => {
                one(&format!("ready_after = {never}\nignore = TERM"));
                let site = self.sandbox.etc().join("swift-init.toml");
                fs::write(site, "[defaults]\nkill_wait = 0\n").expect("the sandbox is ours");
            }
            Before::Workers => one("workers = 2"),
            Before::NoInterpreter => {
                let program = self.sandbox.path("bin/swift-object-server");
                fs::remove_file(&program).expect("it is there");
                self.script(&program, "#!/nowhere/python\n");
            }
        }
        if matches!(
            before,
            Before::Up | Before::Half | Before::Stubborn | Before::SlowCheck | Before::Workers
        ) {
            let outcome = self.init("start");
            assert_eq!(outcome.code(), 0, "{outcome}");
        }
        match before {
            Before::SlowCheck => one(&format!("check_after = {never}")),
            Before::Half => {
                let servers = self.processes.servers();
                for (instance, pids) in servers.iter().filter(|(i, _)| i.1.ends_with("2.conf")) {
                    self.processes.kill(&self.processes.of(pids[0]));
                    if instance.0 == SERVERS[0] {
                        self.sandbox.pid_file(&name(instance), "1");
                    }
                }
            }
            Before::Lies => {
                for (instance, text) in instances().iter().zip(["1", "4194300", "nobody", "0"]) {
                    self.sandbox.pid_file(&name(instance), text);
                }
            }
            _ => {}
        }
    }

    /// A command by its line. `swift-init` gets no shell, so that its own exit status is told.
    pub fn command(&self, line: &str) -> Command {
        let line = line.replace("ALL", &SERVERS.join(" "));
        let mut command = match line.strip_prefix("swift-init ") {
            Some(args) => {
                let mut command = self.sandbox.command("swift-init");
                command.args(args.split(' '));
                command
            }
            None => match line.strip_prefix("old-kernel ") {
                Some(line) => on_old_kernel(&self.sandbox, line),
                None => {
                    let mut command = self.sandbox.command("sh");
                    command.args(["-c", &line]);
                    command
                }
            },
        };
        self.points.apply(&mut command);
        command
    }

    /// Runs swift-init on all servers.
    pub fn init(&self, command: &str) -> Outcome {
        run(&mut self.command(&format!("swift-init ALL {command}")))
    }

    /// What has to hold after anything was killed: nothing runs without its pid file, status tells the
    /// truth, start brings up what is missing, and stop ends everything.
    pub fn aftermath(&self, what: &str) {
        self.processes.until_no_tool_runs();
        self.mend();
        self.processes.until_at_rest();
        assert!(self.processes.lock_is_free(), "{what}: the lock is held");
        let complaint = self.processes.complaint(false);
        assert_eq!(complaint, None, "{what}: afterwards");

        let running = self.processes.servers();
        let status = self.init("status");
        self.truthful_status(&status, what);
        assert_eq!(
            self.processes.servers(),
            running,
            "{what}: status changed it"
        );
        let complaint = self.processes.complaint(false);
        assert_eq!(complaint, None, "{what}: after a status\n{status}");

        let start = self.init("start --non-strict");
        assert_eq!(start.code(), 0, "{what}: the next start: {start}");
        let complaint = self.processes.complaint(true);
        assert_eq!(complaint, None, "{what}: after the next start\n{start}");
        let servers = self.processes.servers();
        let all: BTreeSet<&Instance> = servers.keys().collect();
        assert_eq!(all, instances().iter().collect(), "{what}: {start}");
        let missing = instances().len() - running.len();
        let starting = start.out().matches("Starting ").count();
        assert_eq!(starting, missing, "{what}: the next start: {start}");
        for (instance, pids) in &running {
            let same = servers.get(instance) == Some(pids);
            assert!(same, "{what}: {instance:?} was started anew: {start}");
        }
        let temporary = self.sandbox.run_dir().join(".swift-spawn.new");
        assert!(missing == 0 || !temporary.exists(), "{what}: {start}");

        let stop = self.init("stop --kill-after-timeout --kill-wait=0");
        assert_eq!(stop.code(), 0, "{what}: the next stop: {stop}");
        // Of a group that was killed, only the end of who leads it was awaited.
        self.processes.until_at_rest();
        assert_eq!(self.processes.servers(), BTreeMap::new(), "{what}: {stop}");
        assert_eq!(
            self.processes.pid_files(),
            BTreeMap::new(),
            "{what}: {stop}"
        );
        assert!(self.processes.lock_is_free(), "{what}: the lock is held");
    }

    /// Whether status says of each config what is so, and exits by it.
    fn truthful_status(&self, status: &Outcome, what: &str) {
        let servers = self.processes.servers();
        let mut wanted = BTreeSet::new();
        for ((server, config), pids) in &servers {
            wanted.insert(format!("{server} running ({} - {config})", pids[0]));
        }
        for server in SERVERS {
            if !servers.keys().any(|(name, _)| name == server) {
                wanted.insert(format!("No {server} running"));
            }
        }
        let said: BTreeSet<String> = status.out().lines().map(str::to_owned).collect();
        assert_eq!(said, wanted, "{what}: status: {status}");
        let all = SERVERS
            .iter()
            .all(|server| servers.keys().any(|(name, _)| name == server));
        assert_eq!(status.code(), i32::from(!all), "{what}: status: {status}");
    }
}

/// All instances of the scene.
pub fn instances() -> Vec<Instance> {
    let of = |server: &'static str| {
        CONFIGS.map(|config| (server.to_owned(), format!("/etc/swift/{config}")))
    };
    SERVERS.into_iter().flat_map(of).collect()
}

fn name(instance: &Instance) -> String {
    let path: &Path = &pid_file(instance);
    path.display().to_string()
}
