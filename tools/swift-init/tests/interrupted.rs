//! Requests to end that come at the wrong moment: what was said is done, and what stays down is named.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use test_helpers::{LIMIT, Outcome, Sandbox, ends_within, pidfd, run};

const SERVERS: [&str; 2] = ["object-server", "object-updater"];

fn sandbox(settings: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.install(&SERVERS);
    sandbox.conf("object-server/2.conf", settings);
    sandbox
}

fn swift_init(sandbox: &Sandbox, words: &str) -> Command {
    // Whatever those ignore who run the tests.
    let mut command = sandbox.command("env");
    command.args(["--default-signal", "swift-init"]);
    command.arg("--swift-dir").arg(sandbox.etc());
    command.arg("--run-dir").arg(sandbox.run_dir());
    command.args(words.split(' ')).process_group(0);
    command
}

/// A command that runs, as the leader of a process group.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    errors: PathBuf,
}

impl Running {
    fn start(sandbox: &Sandbox, words: &str) -> Running {
        let errors = sandbox.path("errors");
        let mut child = swift_init(sandbox, words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running {
            child,
            stdout,
            errors,
        }
    }

    /// Reads up to a line that begins so.
    fn hear(&mut self, begin: &str) {
        let mut line = String::new();
        while !line.starts_with(begin) {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "no {begin}");
        }
    }

    /// Sends signals one after the other, without a pause; those that come too late go nowhere.
    fn signal(&self, signals: &[&str], group: bool) {
        let whom = format!("{}{}", if group { "-" } else { "" }, self.child.id());
        let line = |signal: &&str| format!("kill -s {signal} -- {whom}\n");
        let script: String = signals.iter().map(line).collect();
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stderr(Stdio::null());
        shell.status().unwrap();
    }

    /// Its exit status or the signal that ended it, and what it said on standard error.
    fn end(mut self) -> (Result<i32, i32>, String) {
        assert!(ends_within(&self.child, LIMIT).unwrap(), "swift-init stays");
        let status = self.child.wait().unwrap();
        let status = status.code().ok_or(status.signal().unwrap_or_default());
        (status, fs::read_to_string(&self.errors).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
    }
}

/// The server's process, by its pid file.
fn server(sandbox: &Sandbox) -> OwnedFd {
    let text = fs::read_to_string(sandbox.run_dir().join("object-server/2.pid")).unwrap();
    pidfd::open(text.trim().parse().unwrap()).unwrap()
}

fn assert_ends(server: &OwnedFd, what: &str) {
    assert!(pidfd::readable_within(server, LIMIT), "{what}: it runs on");
}

/// Fails when the second request ends swift-init before the first was obeyed: the server runs on.
#[test]
fn many_requests_are_one_until_the_stop_was_sent() {
    for signals in [
        &["TERM", "TERM"][..],
        &["INT", "INT"],
        &["HUP", "HUP"],
        &["TERM", "HUP"],
        &["INT", "TERM", "HUP", "CHLD", "CONT", "INT", "WINCH", "TERM"],
    ] {
        for group in [false, true] {
            let what = format!("{signals:?}, group: {group}");
            let sandbox = sandbox("");
            let up = sandbox.path("up");
            assert!(Command::new("mkfifo").arg(&up).status().unwrap().success());
            sandbox.conf("object-server/2.conf", &format!("tell = {}", up.display()));
            let init = Running::start(&sandbox, "object-server no-daemon");
            // The end of the fifo comes after its writer came.
            fs::read(&up).unwrap();
            let server = server(&sandbox);
            init.signal(signals, group);
            let (status, errors) = init.end();
            assert_ends(&server, &what);
            // One that comes after the stop was sent ends swift-init at once.
            assert!(status == Ok(0) || status.is_err(), "{what}: {status:?}");
            assert_eq!(errors, "", "{what}");
        }
    }
}

/// Fails when a request ends a stop before its signals are sent.
#[test]
fn a_stop_that_spoke_of_a_signal_has_sent_it() {
    for signals in [&["TERM"][..], &["INT", "INT"], &["HUP", "TERM", "INT"]] {
        let sandbox = sandbox("");
        assert_eq!(
            run(&mut swift_init(&sandbox, "object-server start")).code(),
            0
        );
        let server = server(&sandbox);
        let mut init = Running::start(&sandbox, "object-server stop");
        init.hear("Signal object-server");
        init.signal(signals, true);
        let _ = init.end();
        assert_ends(&server, &format!("{signals:?}"));
    }
}

/// Fails when nothing is said of a server that was stopped and will not be started, or when swift-init
/// does not end as the signal would have ended it.
#[test]
fn an_interrupted_restart_names_what_it_leaves() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        for command in ["restart", "reload", "force-reload", "reload-seamless"] {
            let what = format!("{command}, {signal}");
            let name = if command == "reload-seamless" {
                "object-updater"
            } else {
                "object-server"
            };
            let sandbox = sandbox("ignore = TERM,HUP");
            let started: Outcome = run(&mut swift_init(&sandbox, &format!("{name} start")));
            assert_eq!(started.code(), 0, "{what}: {started}");
            let mut init = Running::start(&sandbox, &format!("-k 3600 {name} {command}"));
            init.hear(&format!("Signal {name}"));
            init.signal(&[signal], false);
            let (status, errors) = init.end();
            let wanted = format!(
                "swift-init: interrupted: {name} (2.conf) was signalled and will not be started\n"
            );
            assert_eq!((status, errors), (Err(number), wanted), "{what}");
        }
    }
}
