//! Requests to end, in any number and mix, at each step of a server in the foreground.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use test_helpers::{LIMIT, Sandbox, ends_within, run};

use crate::failpoints::Points;
use crate::soak::times;

/// What comes from terminals, supervisors and children.
const SIGNALS: [&str; 8] = ["TERM", "INT", "HUP", "CHLD", "TERM", "WINCH", "CONT", "INT"];

/// The steps of a start, and of the stop that the first request asks for.
const STEPS: [(&str, bool); 12] = [
    ("swift-init:begun", false),
    ("swift-init:observed", false),
    ("swift-init:tool-started", false),
    ("swift-init:row-submitted", false),
    ("swift-spawn:found", false),
    ("swift-spawn:executed", false),
    ("swift-init:row-received", false),
    ("swift-init:asked", true),
    ("swift-resolve-servers:scanned", true),
    ("swift-pidfile:process-opened", true),
    ("swift-signal:proven", true),
    ("swift-signal:signalled", true),
];

fn swift_init(sandbox: &Sandbox, words: &str) -> Command {
    // Whatever those ignore who run the tests.
    let mut command = sandbox.command("env");
    command.args(["--default-signal", "swift-init"]);
    command.arg("--swift-dir").arg(sandbox.etc());
    command.arg("--run-dir").arg(sandbox.run_dir());
    command.args(words.split(' ')).process_group(0);
    command
}

/// Sends so many signals without a pause, to the process or to its whole group; those that come too late
/// go nowhere.
fn storm(pid: u32, group: bool, count: usize) {
    let whom = format!("{}{pid}", if group { "-" } else { "" });
    let signals = SIGNALS.iter().cycle().take(count);
    let lines = signals.map(|signal| format!("kill -s {signal} -- {whom}\n"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &lines.collect::<String>()]);
    shell
        .stderr(Stdio::null())
        .status()
        .expect("there is a shell");
}

/// The processes that servers have entered into the sandbox's book, and that run.
fn alive(sandbox: &Sandbox) -> usize {
    let book = fs::read_to_string(sandbox.path("pids")).unwrap_or_default();
    let runs = |line: &&str| {
        let Some((pid, start)) = line.split_once(' ') else {
            return false;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = fields.split_whitespace().collect();
        !matches!(fields.first(), None | Some(&"Z" | &"X")) && fields.get(19) == Some(&start)
    };
    book.lines().filter(runs).count()
}

/// Fails when a request that comes before the first one was obeyed ends swift-init, or one of the tools
/// that have yet to find and signal what runs.
#[test]
fn no_server_outlives_requests_in_the_foreground() {
    for (step, stopping) in STEPS {
        for group in [false, true] {
            for count in [2, times(40, 1000)] {
                let what = format!("{step}, group: {group}, {count} signals");
                let sandbox = Sandbox::new();
                sandbox.install(&["object-server"]);
                for name in ["1", "2"] {
                    sandbox.conf(&format!("object-server/{name}.conf"), "");
                }
                let points = Points::new(&sandbox);
                let pause = (!stopping).then(|| points.pause_at(step));
                let mut command = swift_init(&sandbox, "object no-daemon");
                let command = points.apply(&mut command).stdin(Stdio::null());
                let command = command.stdout(Stdio::null()).stderr(Stdio::null());
                let mut child = command.spawn().expect("it can be started");
                let pause = pause.unwrap_or_else(|| {
                    let up = || fs::read_to_string(sandbox.path("pids")).unwrap_or_default();
                    let end = Instant::now() + LIMIT;
                    while up().lines().count() < 2 {
                        assert!(Instant::now() < end, "{what}: no servers");
                        std::thread::yield_now();
                    }
                    let pause = points.pause_at(step);
                    storm(child.id(), false, 1);
                    pause
                });
                pause.reached();
                storm(child.id(), group, count);
                pause.go();
                drop(pause);
                storm(child.id(), group, count);
                assert!(ends_within(&child, LIMIT).expect("it is ours"), "{what}");
                child.wait().expect("it is ours");
                let end = Instant::now() + LIMIT;
                while alive(&sandbox) > 0 {
                    assert!(Instant::now() < end, "{what}: a server runs on");
                    std::thread::yield_now();
                }
                let status = run(&mut swift_init(&sandbox, "object status"));
                assert_eq!(
                    status.out(),
                    "No object-server running\n",
                    "{what}: {status}"
                );
            }
        }
    }
}
