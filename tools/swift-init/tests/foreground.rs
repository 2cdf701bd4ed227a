//! What is shown with neither the original beside it nor a real server: swift-init in the foreground
//! when all does not go as it should, and what it says on standard error.

use std::fs;
use std::io::{BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use test_helpers::{LIMIT, Sandbox, ends_within, run};

/// A sandbox with an object server that makes an event happen when it is up.
struct Stage {
    sandbox: Sandbox,
    up: PathBuf,
}

impl Stage {
    fn new() -> Stage {
        let sandbox = Sandbox::new();
        sandbox.install(&["object-server"]);
        let up = sandbox.path("up");
        assert!(Command::new("mkfifo").arg(&up).status().unwrap().success());
        sandbox.conf("object-server.conf", &format!("tell = {}", up.display()));
        Stage { sandbox, up }
    }

    fn swift_init(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command("swift-init");
        command
            .arg("--swift-dir")
            .arg(self.sandbox.etc())
            .arg("--run-dir")
            .arg(self.sandbox.run_dir())
            .args(args);
        command
    }

    /// Starts swift-init in a process group of its own, and waits until its server is up.
    fn foreground(&self, command: &str) -> Foreground {
        let errors = self.sandbox.path("errors");
        let mut child = self
            .swift_init(&["object-server", command, "--no-daemon"])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // The end of the fifo comes after its writer came.
        fs::read(&self.up).unwrap();
        Foreground {
            child,
            stdout,
            errors,
        }
    }
}

struct Foreground {
    child: Child,
    stdout: BufReader<ChildStdout>,
    errors: PathBuf,
}

impl Foreground {
    /// Sends a signal to swift-init, or to its whole group as a terminal does.
    fn signal(&self, signal: &str, group: bool) {
        let sign = if group { "-" } else { "" };
        let whom = format!("{sign}{}", self.child.id());
        let kill = Command::new("kill")
            .args(["-s", signal, "--", &whom])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for its end: its exit status or the signal that ended it, what was left to read, and
    /// what it said on standard error.
    fn end(mut self) -> (Result<i32, i32>, String, String) {
        assert!(
            ends_within(&self.child, LIMIT).unwrap(),
            "swift-init stays: {}",
            fs::read_to_string(&self.errors).unwrap()
        );
        let status = self.child.wait().unwrap();
        let status = status
            .code()
            .ok_or_else(|| status.signal().unwrap_or_default());
        let mut rest = String::new();
        // A server that was left behind would hold the pipe open.
        if status == Ok(0) {
            self.stdout.read_to_string(&mut rest).unwrap();
        }
        (status, rest, fs::read_to_string(&self.errors).unwrap())
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
    }
}

/// Fails when the stop only knows what has a pid file: then it says that nothing runs, and waits.
#[test]
fn a_server_without_its_pid_file_is_stopped_all_the_same() {
    for content in [None, Some("1")] {
        let stage = Stage::new();
        let init = stage.foreground("start");
        let file = stage.sandbox.run_dir().join("object-server.pid");
        fs::remove_file(&file).unwrap();
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        init.signal("TERM", false);
        let (status, rest, errors) = init.end();
        assert_eq!(status, Ok(0), "{errors}");
        assert!(rest.ends_with("appears to have stopped\n"), "{rest}");
    }
}

#[test]
fn a_config_that_was_broken_meanwhile_keeps_no_server() {
    let stage = Stage::new();
    let init = stage.foreground("restart");
    stage.sandbox.conf("object-server.conf", "check_exit = 1");
    init.signal("INT", false);
    let (status, rest, errors) = init.end();
    assert_eq!(status, Ok(0), "{errors}");
    assert!(rest.ends_with("appears to have stopped\n"), "{rest}");
}

#[test]
fn nothing_is_missed_when_all_of_the_group_are_asked_to_end() {
    let stage = Stage::new();
    let init = stage.foreground("start");
    init.signal("TERM", true);
    let (status, _, errors) = init.end();
    assert_eq!(status, Ok(0), "{errors}");
    assert!(!errors.contains("without reporting a result"), "{errors}");
}

#[test]
fn an_unreadable_pid_file_is_complained_of_once() {
    let stage = Stage::new();
    fs::create_dir(stage.sandbox.run_dir().join("object-server.pid")).unwrap();
    for command in ["status", "start", "restart", "reload-seamless", "stop"] {
        let outcome = run(&mut stage.swift_init(&["object-server", command]));
        assert_eq!(outcome.code(), 1, "{command}: {outcome}");
        let told = outcome.err().matches("cannot read pid file").count();
        assert_eq!(told, 1, "{command}: {outcome}");
    }
}
