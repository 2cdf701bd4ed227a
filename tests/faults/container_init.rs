//! swift-init as the init of a container.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Instant;

use test_helpers::lab::Process;
use test_helpers::{LIMIT, Sandbox, tools_dir};

use crate::assertions::{assert_tracked, must, servers, with_servers};
use crate::failpoints::Points;
use crate::soak::times;

/// swift-init as process 1 of pid and mount namespaces within the sandbox's.
struct Container {
    /// `nsenter`, whose child is `unshare`, whose child is swift-init.
    outer: Child,
    stdout: BufReader<ChildStdout>,
    errors: PathBuf,
}

impl Container {
    fn start(sandbox: &Sandbox, words: &str, points: Option<&Points>) -> Container {
        let errors = sandbox.path("errors");
        let mut command = sandbox.command("unshare");
        command
            .args([
                "--pid",
                "--fork",
                "--mount-proc",
                "--kill-child",
                "swift-init",
            ])
            .args(words.split(' '))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).expect("the sandbox can be written"));
        if let Some(points) = points {
            points.apply(&mut command);
        }
        let mut outer = command.spawn().expect("unshare (util-linux) can be run");
        let stdout = BufReader::new(outer.stdout.take().expect("a pipe"));
        Container {
            outer,
            stdout,
            errors,
        }
    }

    /// Starts one whose server makes the event `up` happen, and waits for that.
    fn up(sandbox: &Sandbox, words: &str) -> Container {
        let container = Container::start(sandbox, words, None);
        fs::read(sandbox.path("up")).expect("the fifo is there");
        container
    }

    /// swift-init, as this test's own namespace has it.
    fn init(&self) -> Process {
        let outer = Process::open(self.outer.id() as i32).expect("it runs");
        let mut inner = outer.children();
        let unshare = inner.pop().expect("nsenter waits for unshare");
        unshare
            .children()
            .pop()
            .expect("unshare waits for swift-init")
    }

    fn signal(&self, signal: &str) {
        must_kill(signal, self.init().pid);
    }

    /// Reads up to a line that begins so.
    fn hear(&mut self, begin: &str) -> String {
        let mut line = String::new();
        while !line.starts_with(begin) {
            line.clear();
            assert_ne!(
                self.stdout.read_line(&mut line).expect("text"),
                0,
                "no {begin}"
            );
        }
        line
    }

    /// Its exit status, and what it said on standard output and error.
    fn end(mut self) -> (i32, String, String) {
        let process = Process::open(self.outer.id() as i32).expect("it was not waited for");
        assert!(process.ends_within(LIMIT), "swift-init stays");
        let status = self.outer.wait().expect("it is ours");
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).expect("text");
        let errors = fs::read_to_string(&self.errors).expect("it was made");
        (status.code().expect("an exit status"), text, errors)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

fn must_kill(signal: &str, pid: i32) {
    let mut kill = std::process::Command::new("kill");
    let status = kill.args(["-s", signal, &pid.to_string()]).status();
    assert!(status.expect("kill can be run").success());
}

/// A sandbox with one object server, whose config this is, and the fifo `up`.
fn sandbox(lines: &str) -> Sandbox {
    let sandbox = with_servers(&[]);
    must(&sandbox, "mkfifo up");
    let up = sandbox.path("up").display().to_string();
    sandbox.conf("object-server.conf", &lines.replace("UP", &up));
    sandbox
}

/// Fails when one of the three is not blocked and read from a descriptor: the kernel drops a signal that
/// would end an init. The original goes on after TERM, and is killed in the end.
#[test]
fn each_request_to_end_stops_the_servers() {
    let sandbox = sandbox("tell = UP");
    for signal in ["TERM", "INT", "HUP"] {
        let container = Container::up(&sandbox, "object-server start --no-daemon");
        container.signal(signal);
        let (status, text, errors) = container.end();
        assert_eq!((status, errors.as_str()), (0, ""), "{signal}: {text}");
        assert!(text.contains("appears to have stopped"), "{signal}: {text}");
        assert_eq!(text.contains("\nuser quit\n"), signal == "INT", "{text}");
        assert!(!sandbox.run_dir().join("object-server.pid").exists());
    }
}

/// Fails when requests are not blocked from the beginning on: this one is dropped then, and the server
/// runs for ever.
#[test]
fn a_request_that_comes_early_is_kept() {
    let sandbox = sandbox("");
    let points = Points::new(&sandbox);
    let begun = points.pause_at("swift-init:begun");
    let words = "object-server start --no-daemon";
    let container = Container::start(&sandbox, words, Some(&points));
    assert_eq!(begun.reached(), 1);
    container.signal("TERM");
    begun.go();
    let (status, text, errors) = container.end();
    assert_eq!((status, errors.as_str()), (0, ""), "{text}");
}

/// Fails when nothing more than the tools is waited for: each of these stays a zombie then.
#[test]
fn orphans_are_no_zombies() {
    let sandbox = sandbox("");
    let count = times(40, 4000);
    // Each of them outlives its parent, so it is init's when it ends.
    let script = sandbox.path("bin/swift-proxy-server");
    let text = format!(
        "#!/bin/sh\nfor i in $(seq {count}); do sh -c '(read x <{}) & exit'; done\n\
         exec {}/fake-server \"$0\" \"$@\"\n",
        sandbox.path("gate").display(),
        tools_dir().display(),
    );
    fs::write(&script, text).expect("it can be written");
    must(&sandbox, "chmod +x bin/swift-proxy-server; mkfifo gate");
    let tell = format!("tell = {}", sandbox.path("up").display());
    sandbox.conf("proxy-server.conf", &tell);
    let container = Container::up(&sandbox, "proxy-server start --no-daemon");
    let init = container.init();
    let children = |pid: i32| {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = fs::read_to_string(path).expect("it runs");
        text.split_whitespace().count()
    };
    // A line for each of them, also for those that have yet to open the fifo.
    let mut gate = fs::File::options();
    let gate = gate.read(true).write(true).open(sandbox.path("gate"));
    let mut gate = gate.expect("the fifo is there");
    gate.write_all(&vec![b'\n'; count])
        .expect("a fifo holds them");
    // swift-spawn alone is left, in the end: there is no event for that.
    let end = Instant::now() + LIMIT;
    while children(init.pid) > 1 {
        assert!(Instant::now() < end, "{} children", children(init.pid));
        std::thread::yield_now();
    }
    container.signal("TERM");
    assert_eq!(container.end().0, 0);
}

/// Fails when the rows of ended servers are not counted.
#[test]
fn it_exits_with_what_the_servers_gave() {
    let sandbox = sandbox("");
    sandbox.install(&["object-updater"]);
    for (words, conf, wanted) in [
        ("object-server start --no-daemon", "exit = 0", 0),
        ("object-server no-daemon", "exit = 3", 1),
        ("object-server start --no-daemon", "die_by = KILL", 1),
        ("object-updater once --no-daemon", "once_exit = 0", 0),
        ("object-updater once --no-daemon", "once_exit = 4", 1),
        ("object-updater once", "once_exit = 0", 0),
        ("object-updater once", "once_exit = 4", 1),
        ("object-updater object-server no-daemon", "exit = 0", 0),
        (
            "object-updater object-server no-daemon",
            "exit = 0\n[object-updater]\nexit = 1",
            1,
        ),
    ] {
        sandbox.conf("object-server.conf", conf);
        let (status, text, errors) = Container::start(&sandbox, words, None).end();
        assert_eq!(status, wanted, "{words}, {conf}: {text}{errors}");
        assert_eq!(errors.is_empty(), wanted == 0, "{words}, {conf}: {errors}");
    }
}

/// Fails when init tries to die of the signal: the kernel does not let it, and it exits 1 with an error.
#[test]
fn a_second_request_ends_the_container() {
    let sandbox = sandbox("tell = UP\nignore = TERM");
    let mut container = Container::up(&sandbox, "object-server start --no-daemon");
    container.signal("TERM");
    container.hear("Signal object-server");
    container.signal("TERM");
    let (status, _, errors) = container.end();
    assert_eq!((status, errors.as_str()), (128 + 15, ""));
    assert!(servers(&sandbox).is_empty());
}

/// Fails when init takes the statuses of its own tools: they cannot be awaited then.
#[test]
fn in_daemon_mode_the_container_ends_when_all_is_up() {
    let sandbox = sandbox("");
    let (status, text, errors) = Container::start(&sandbox, "object-server start", None).end();
    assert_eq!((status, errors.as_str()), (0, ""), "{text}");
    assert!(servers(&sandbox).is_empty());
    // Whoever keeps the run directory finds a stale pid file in it, which does no harm.
    let (status, text, errors) = Container::start(&sandbox, "object-server start", None).end();
    assert_eq!((status, errors.as_str()), (0, ""), "{text}");
}

/// Fails when swift-init exits at once then: the kernel kills what is left, and no server finishes.
#[test]
fn servers_are_stopped_when_their_starter_was_killed() {
    let sandbox = sandbox("tell = UP");
    let container = Container::up(&sandbox, "object-server start --no-daemon");
    let spawn = container
        .init()
        .children()
        .pop()
        .expect("it awaits the server");
    must_kill("KILL", spawn.pid);
    let (status, text, errors) = container.end();
    assert_eq!(status, 1, "{text}{errors}");
    assert!(
        errors.contains("swift-spawn was ended by signal 9"),
        "{errors}"
    );
    assert!(text.contains("appears to have stopped"), "{text}");
}

/// Fails when the numbers of another life are believed: in a container they are always the same few.
#[test]
fn pid_files_of_a_container_before_are_stale() {
    let sandbox = sandbox("exit = 0");
    for number in 1..=times(9, 20) {
        sandbox.pid_file("object-server.pid", number.to_string());
        let words = "object-server start --no-daemon";
        let (status, text, errors) = Container::start(&sandbox, words, None).end();
        assert_eq!((status, errors.as_str()), (0, ""), "{number}: {text}");
        assert!(text.contains("Starting object-server"), "{number}: {text}");
    }
}

/// Fails when what runs is looked at before swift-spawn was told to begin nothing more: this server is
/// not found then, and runs on. The same holds without a container.
#[test]
fn a_server_that_is_being_started_is_stopped_too() {
    let sandbox = with_servers(&["1", "2"]);
    let points = Points::new(&sandbox);
    let (found, asked) = (
        points.pause_at("swift-spawn:found"),
        points.pause_at("swift-init:asked"),
    );
    let container = Container::start(&sandbox, "object-server no-daemon", Some(&points));
    found.reached();
    container.signal("TERM");
    asked.reached();
    drop(asked);
    drop(found);
    let (status, text, errors) = container.end();
    assert_eq!((status, errors.as_str()), (0, ""), "{text}");
    assert_tracked(&sandbox, 0, "afterwards");
}
