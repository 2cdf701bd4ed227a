//! swift-init as the main process of a unit. The service manager is the test: it binds the socket of
//! NOTIFY_SOCKET, and reads what it is told.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use test_helpers::{LIMIT, Sandbox, ends_within, run};

/// A sandbox with one object server and one object replicator for each of these configs.
struct Stage {
    sandbox: Sandbox,
}

impl Stage {
    fn new(configs: &[(&str, &str)]) -> Stage {
        let sandbox = Sandbox::new();
        sandbox.install(&["object-server", "object-replicator"]);
        for (name, lines) in configs {
            sandbox.conf(&format!("object-server/{name}.conf"), lines);
        }
        Stage { sandbox }
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.sandbox.path(name);
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        path
    }

    fn swift_init(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command("swift-init");
        command.arg("--swift-dir").arg(self.sandbox.etc());
        command
            .arg("--run-dir")
            .arg(self.sandbox.run_dir())
            .args(args);
        command
    }

    fn pid(&self, file: &str) -> u32 {
        let path = self.sandbox.run_dir().join(file);
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    }

    fn has_pid_file(&self, file: &str) -> bool {
        self.sandbox.run_dir().join(file).exists()
    }

    /// Starts `swift-init SERVER no-daemon` as a unit's main process.
    fn unit(&self, server: &str) -> Unit {
        let socket = self.sandbox.path(format!("notify-{server}"));
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(LIMIT)).unwrap();
        let errors = self.sandbox.path(format!("errors-{server}"));
        let child = self
            .swift_init(&[server, "no-daemon"])
            .env("NOTIFY_SOCKET", &socket)
            .env("LISTEN_FDS", "1")
            .env("INVOCATION_ID", "0123")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        Unit {
            child,
            manager,
            errors,
        }
    }
}

struct Unit {
    child: Child,
    manager: UnixDatagram,
    errors: PathBuf,
}

impl Unit {
    /// Waits for a message with this text, and returns all messages up to it.
    fn tells(&self, text: &str) -> String {
        let (mut all, mut buffer) = (String::new(), [0; 4096]);
        loop {
            let length = self.manager.recv(&mut buffer).unwrap_or_else(|e| {
                panic!("no {text}: {e}\n{all}\n{}", self.errors());
            });
            let message = std::str::from_utf8(&buffer[..length]).unwrap();
            all += message;
            all.push('\n');
            if message.contains(text) {
                return all;
            }
        }
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    /// A reload in this unit.
    fn reload(&self, stage: &Stage, server: &str) -> Command {
        let mut command = stage.swift_init(&[server, "reload-seamless"]);
        command.env("MAINPID", self.child.id().to_string());
        command
    }

    /// The exit status and all that was said on standard output.
    fn end(&mut self) -> (Option<i32>, String) {
        let ends = ends_within(&self.child, LIMIT).unwrap();
        assert!(ends, "swift-init stays: {}", self.errors());
        let status = self.child.wait().unwrap();
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut out).unwrap();
        (status.code(), out)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
    }
}

fn kill(signal: &str, pid: u32) {
    let pid = pid.to_string();
    let status = Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(status.unwrap().success());
}

fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
    fields.is_some_and(|fields| !fields.starts_with(['Z', 'X']))
}

fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    fields.split(' ').nth(1).unwrap().parse().unwrap()
}

fn child_of(pid: u32, name: &str) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let is_it = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let mut pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.find(is_it).unwrap()
}

const READY: &str = "READY=1";

#[test]
fn ready_is_said_when_the_last_server_is() {
    let stage = Stage::new(&[("1", ""), ("2", "")]);
    let wait = stage.fifo("wait");
    let lines = format!("ready_after = {}", wait.display());
    stage.sandbox.conf("object-server/2.conf", &lines);
    let mut unit = stage.unit("object");
    let before = unit.tells("STATUS=starting: 1 of 2 servers ready");
    assert!(before.contains("EXTEND_TIMEOUT_USEC="), "{before}");
    assert!(!before.contains(READY), "{before}");
    fs::write(&wait, "").unwrap();
    let ready = unit.tells(READY);
    assert!(ready.contains("STATUS=2 servers running\n"), "{ready}");

    let pids = [1, 2].map(|n| stage.pid(&format!("object-server/{n}.pid")));
    for pid in pids {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        for name in ["NOTIFY_SOCKET=", "LISTEN_FDS="] {
            assert!(!environment.contains(name), "{environment}");
        }
        assert!(environment.contains("INVOCATION_ID=0123"), "{environment}");
    }
    kill("TERM", unit.child.id());
    let stopping = unit.tells("STOPPING=1");
    assert!(stopping.contains("STATUS=stopping 2 servers"), "{stopping}");
    let (status, out) = unit.end();
    assert_eq!(status, Some(0), "{}", unit.errors());
    // As `shutdown` does: with HUP.
    assert!(
        out.contains(&format!("pid: {}  signal: 1", pids[0])),
        "{out}"
    );
    assert!(!stage.has_pid_file("object-server/1.pid"));
    assert!(!pids.into_iter().any(runs));
}

#[test]
fn a_crash_ends_the_unit_and_is_named() {
    let stage = Stage::new(&[("1", ""), ("2", "")]);
    let mut unit = stage.unit("object");
    unit.tells(READY);
    let (first, second) = (
        stage.pid("object-server/1.pid"),
        stage.pid("object-server/2.pid"),
    );
    kill("KILL", second);
    let told = unit.tells("STOPPING=1");
    let name = format!("2.conf), pid {second}, was ended by SIGKILL");
    assert!(told.contains(&name), "{told}");
    assert_eq!(unit.end().0, Some(1));
    assert!(unit.errors().contains(&name), "{}", unit.errors());
    assert!(!runs(first));
}

#[test]
fn a_stop_by_hand_is_no_crash() {
    let stage = Stage::new(&[("1", ""), ("2", "")]);
    let mut unit = stage.unit("object");
    unit.tells(READY);
    let stop = |name| run(&mut stage.swift_init(&[name, "stop"]));
    assert_eq!(stop("object.2").code(), 0);
    unit.tells("STATUS=1 of 2 servers running; down: object-server (");
    assert!(runs(stage.pid("object-server/1.pid")));
    assert_eq!(stop("object.1").code(), 0);
    unit.tells("STATUS=all servers were stopped");
    assert_eq!(unit.end().0, Some(0), "{}", unit.errors());
}

#[test]
fn what_runs_outside_keeps_the_unit_from_starting() {
    let stage = Stage::new(&[("1", ""), ("2", "")]);
    let outcome = run(&mut stage.swift_init(&["object.1", "start"]));
    assert_eq!(outcome.code(), 0, "{outcome}");
    let outside = stage.pid("object-server/1.pid");
    let mut unit = stage.unit("object");
    let (status, out) = unit.end();
    assert_eq!((status, out.as_str()), (Some(1), ""));
    let what = format!(": runs already outside this unit, pid {outside}");
    assert!(unit.errors().contains(&what), "{}", unit.errors());
    assert!(runs(outside) && !stage.has_pid_file("object-server/2.pid"));
}

#[test]
fn a_unit_of_which_one_server_cannot_start_leaves_none() {
    for lines in [
        "exit = 3\nprint = no such ring\\n",
        "exit = 0",
        "die_by = KILL",
    ] {
        let stage = Stage::new(&[("1", ""), ("2", lines)]);
        let mut unit = stage.unit("object");
        let (status, out) = unit.end();
        assert_eq!(status, Some(1), "{lines}: {}", unit.errors());
        assert!(
            unit.errors().contains("2.conf)"),
            "{lines}: {}",
            unit.errors()
        );
        assert_eq!(out.contains("no such ring"), lines.contains("no such ring"));
        assert!(!stage.has_pid_file("object-server/1.pid"), "{lines}");
    }
}

#[test]
fn what_does_not_exist_is_named() {
    let stage = Stage::new(&[("1", "")]);
    for (server, what) in [
        ("objct", "no such server: objct"),
        (
            "object.9",
            "cannot find a config (object-server): no 9.conf",
        ),
    ] {
        let mut unit = stage.unit(server);
        assert_eq!(unit.end().0, Some(1));
        assert!(unit.errors().contains(what), "{}", unit.errors());
    }
}

/// Fails when a daemon that a reload restarts counts as crashed or as stopped, or is lost.
#[test]
fn a_daemon_stays_the_units_in_a_reload() {
    let stage = Stage::new(&[("1", ""), ("2", "")]);
    let mut unit = stage.unit("object-replicator");
    unit.tells(READY);
    let file = "object-replicator/1.pid";
    let mut pid = stage.pid(file);
    let spawn = parent(pid);
    for _ in 0..3 {
        let outcome = run(&mut unit.reload(&stage, "object-replicator"));
        assert_eq!(outcome.code(), 0, "{outcome}");
        let out = outcome.out();
        assert!(
            out.contains(&format!("object-replicator ({pid}) appears")),
            "{out}"
        );
        assert!(out.contains("Starting object-replicator...("), "{out}");
        let next = stage.pid(file);
        assert!(next != pid && parent(next) == spawn);
        pid = next;
        unit.tells("STATUS=2 servers running");
    }
    kill("KILL", pid);
    let told = unit.tells("STOPPING=1");
    assert!(
        told.contains(&format!("pid {pid}, was ended by SIGKILL")),
        "{told}"
    );
    assert_eq!(unit.end().0, Some(1));
}

#[test]
fn a_refused_reload_leaves_the_daemon_alone() {
    let stage = Stage::new(&[("1", "")]);
    let mut unit = stage.unit("object-replicator");
    unit.tells(READY);
    let pid = stage.pid("object-replicator/1.pid");
    let bad = "[object-replicator]\nuser = nobody-of-this-name";
    stage.sandbox.conf("object-server/1.conf", bad);
    let outcome = run(&mut unit.reload(&stage, "object-replicator"));
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(outcome.err().contains("its config is refused"), "{outcome}");
    assert_eq!(stage.pid("object-replicator/1.pid"), pid);
    assert!(runs(pid));
    kill("TERM", unit.child.id());
    assert_eq!(unit.end().0, Some(0));
}

/// Fails when the client's word is the only one that brings a daemon back: the reload is killed while
/// it waits for the end of the daemon, which ends later.
#[test]
fn a_daemon_comes_back_when_the_reload_is_killed() {
    let stage = Stage::new(&[("1", "ignore = TERM")]);
    let unit = stage.unit("object-replicator");
    unit.tells(READY);
    let pid = stage.pid("object-replicator/1.pid");
    let mut reload = unit.reload(&stage, "object-replicator");
    let mut reload = reload.stdout(Stdio::piped()).spawn().unwrap();
    // It says so when the signal was sent.
    let mut said = [0; 6];
    reload.stdout.take().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"Signal");
    reload.kill().unwrap();
    reload.wait().unwrap();
    kill("KILL", pid);
    unit.tells("STATUS=1 server running");
    assert_ne!(stage.pid("object-replicator/1.pid"), pid);
    kill("KILL", unit.child.id());
}

/// Fails when a daemon is restarted where its main process does not hear of it.
#[test]
fn without_the_main_process_nothing_is_stopped() {
    let stage = Stage::new(&[("1", "")]);
    let mut unit = stage.unit("object-replicator");
    unit.tells(READY);
    let socket = format!(".swift-init.{}", unit.child.id());
    let socket = stage.sandbox.run_dir().join(socket);
    let status = fs::metadata(&socket).unwrap();
    assert!(status.file_type().is_socket());
    assert_eq!(status.permissions().mode() & 0o777, 0o600);
    fs::remove_file(&socket).unwrap();
    let outcome = run(&mut unit.reload(&stage, "object-replicator"));
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(
        outcome.err().contains("cannot reach the main process"),
        "{outcome}"
    );
    assert!(runs(stage.pid("object-replicator/1.pid")));
    kill("TERM", unit.child.id());
    assert_eq!(unit.end().0, Some(0));
}

/// Fails when a main process that ends with requests unread is an error of the connection.
#[test]
fn a_main_process_that_dies_in_a_reload_is_named() {
    let stage = Stage::new(&[("1", "")]);
    let mut unit = stage.unit("object-replicator");
    unit.tells(READY);
    kill("STOP", unit.child.id());
    let mut reload = unit.reload(&stage, "object-replicator");
    reload.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut reload = reload.spawn().unwrap();
    let mut told = BufReader::new(reload.stdout.take().unwrap()).lines();
    // By then the request was sent.
    assert!(told.any(|line| line.unwrap().starts_with("Starting object-replicator...")));
    kill("KILL", unit.child.id());
    let outcome = reload.wait_with_output().unwrap();
    let errors = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!(outcome.status.code(), Some(1), "{errors}");
    let line = "the main process of this unit ended without reporting a result";
    assert!(errors.contains(line), "{errors}");
    assert_eq!(unit.end().0, None);
}

#[test]
fn the_next_main_process_removes_what_a_killed_one_left() {
    let stage = Stage::new(&[("1", "")]);
    let mut unit = stage.unit("object");
    unit.tells(READY);
    let socket = |unit: &Unit| {
        let name = format!(".swift-init.{}", unit.child.id());
        stage.sandbox.run_dir().join(name)
    };
    let left = socket(&unit);
    unit.child.kill().unwrap();
    unit.child.wait().unwrap();
    assert!(left.exists());
    // systemd kills what is left of the unit.
    kill("KILL", stage.pid("object-server/1.pid"));
    fs::remove_file(stage.sandbox.path("notify-object")).unwrap();
    let mut unit = stage.unit("object");
    unit.tells(READY);
    assert!(!left.exists() && socket(&unit).exists());
    kill("TERM", unit.child.id());
    assert_eq!(unit.end().0, Some(0), "{}", unit.errors());
    assert!(!socket(&unit).exists());
}

#[test]
fn a_lost_tool_ends_the_unit_and_its_servers() {
    let stage = Stage::new(&[("1", "")]);
    let mut unit = stage.unit("object");
    unit.tells(READY);
    let pid = stage.pid("object-server/1.pid");
    kill("KILL", child_of(unit.child.id(), "swift-spawn"));
    unit.tells("STOPPING=1");
    assert_eq!(unit.end().0, Some(1));
    assert!(!runs(pid));
}

/// Fails when the unit ends with its servers, while their workers still finish requests: systemd would
/// kill them.
/// Fails when the site's file is read anew for a stop: its author may be in the midst of a change.
#[test]
fn a_stop_goes_by_the_file_that_the_start_went_by() {
    let stage = Stage::new(&[("1", ""), ("2", "")]);
    let write = |text: &str| fs::write(stage.sandbox.etc().join("swift-init.toml"), text).unwrap();
    write("[server.object-server]\ngraceful = \"INT\"\n");
    let mut unit = stage.unit("object-server");
    unit.tells(READY);
    let pids = [1, 2].map(|n| stage.pid(&format!("object-server/{n}.pid")));
    write("[server.object-server\n");
    kill("TERM", unit.child.id());
    let (status, out) = unit.end();
    assert_eq!(status, Some(0), "{}", unit.errors());
    assert!(!pids.into_iter().any(runs));
    for pid in pids {
        let line = format!("Signal object-server  pid: {pid}  signal: 2\n");
        assert!(out.contains(&line), "{out}");
    }
}

#[test]
fn workers_that_finish_requests_are_waited_for() {
    let stage = Stage::new(&[("1", "workers = 2\nlinger = true")]);
    let mut unit = stage.unit("object");
    unit.tells(READY);
    let server = stage.pid("object-server/1.pid");
    let workers = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
    let workers: Vec<u32> = workers
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(workers.len(), 2);
    kill("TERM", unit.child.id());
    let mut said = String::new();
    let mut stdout = unit.child.stdout.take().unwrap();
    let mut byte = [0; 1];
    while !said.ends_with("appears to have stopped\n") {
        stdout.read_exact(&mut byte).unwrap();
        said.push(byte[0].into());
    }
    unit.child.stdout = Some(stdout);
    assert!(workers.iter().all(|pid| runs(*pid)));
    for worker in workers {
        assert!(unit.child.try_wait().unwrap().is_none());
        kill("KILL", worker);
    }
    assert_eq!(unit.end().0, Some(0), "{}", unit.errors());
}

#[test]
fn a_watchdog_is_answered() {
    let stage = Stage::new(&[("1", "")]);
    let socket = stage.sandbox.path("notify-object");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    let mut command = stage.swift_init(&["object", "no-daemon"]);
    let command = command
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "20000");
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    let errors = stage.sandbox.path("none");
    fs::write(&errors, "").unwrap();
    let mut unit = Unit {
        child,
        manager,
        errors,
    };
    unit.tells(READY);
    for _ in 0..3 {
        unit.tells("WATCHDOG=1");
    }
    kill("TERM", unit.child.id());
    unit.tells("STOPPING=1");
    assert!(ends_within(&unit.child, LIMIT).unwrap());
    assert_eq!(unit.child.wait().unwrap().code(), Some(0));
}
