//! Rows that went bad on their way, as the tools see them: nothing is done with them.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use properties::mutate::{Random, mutation};
use swift_records::catalogue::Catalogue;
use swift_records::instance::pid_path;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::process::{Pid, Process};
use test_helpers::{LIMIT, Outcome, Sandbox, run_with};

/// How many bad lines a tool gets.
const LINES: usize = 200;

/// A sandbox with two object servers, of which the first runs.
struct Ground {
    sandbox: Sandbox,
    running: String,
    stopped: String,
    process: Process,
}

impl Ground {
    fn new() -> Ground {
        let sandbox = Sandbox::new();
        sandbox.install(&["object-server"]);
        sandbox.conf("object-server/1.conf", "");
        sandbox.conf("object-server/2.conf", "");
        let of = |outcome: Outcome| outcome.out();
        let look = || of(tool(&sandbox, "swift-pidfile", &[], resolved(&sandbox)));
        let first = look().lines().next().expect("two rows").to_owned() + "\n";
        let outcome = tool(&sandbox, "swift-spawn", &["--keep-limits"], &first);
        assert_eq!(outcome.code(), 0, "{outcome}");
        let rows = look();
        let (running, stopped) = rows.split_once('\n').expect("two rows");
        let row = Row::read(running.as_bytes()).expect("a row");
        let process = Process::open(row.pid.expect("it runs")).expect("it can be opened");
        Ground {
            running: running.to_owned(),
            stopped: stopped.trim_end().to_owned(),
            process: process.expect("it runs"),
            sandbox,
        }
    }

    /// Whether the first server still runs and the second one does not.
    fn is_as_it_was(&self) {
        assert!(!self.process.has_ended().expect("it is ours"));
        let pid = fs::read(self.sandbox.run_dir().join("object-server/1.pid"));
        let pid = pid.expect("it is there");
        assert_eq!(Pid::parse(&pid), Some(self.process.pid));
        assert!(!self.sandbox.run_dir().join("object-server/2.pid").exists());
    }
}

fn resolved(sandbox: &Sandbox) -> String {
    let run_dir = format!("--run-dir={}", sandbox.run_dir().display());
    tool(sandbox, "swift-resolve-servers", &[&run_dir, "object"], "").out()
}

fn tool(sandbox: &Sandbox, name: &str, args: &[&str], input: impl AsRef<[u8]>) -> Outcome {
    let mut command = sandbox.command(name);
    command
        .arg(format!("--swift-dir={}", sandbox.etc().display()))
        .args(args);
    run_with(&mut command, input.as_ref(), LIMIT)
}

/// Lines that are no row, or none whose pid file is its config's, made of a row that is good. The last
/// one is the row itself without its newline.
fn bad_lines(good: &str) -> Vec<u8> {
    let catalogue = Catalogue::load(Path::new("/nonexistent")).expect("it is compiled in");
    let good_row = Row::read(good.as_bytes()).expect("a row");
    // A row of another server or state is one that some tools pass on.
    let is_bad = |line: &[u8]| match Row::read(line) {
        Err(_) => true,
        Ok(row) => {
            (&row.server, row.state) == (&good_row.server, good_row.state)
                && pid_path(&catalogue.server(&row.server), &row).is_err()
        }
    };
    let corpus = [good.as_bytes().to_vec(), b"\x1b[2J\t\t-\xff/../".to_vec()];
    let mut random = Random::new(0xbad);
    let mut stream = Vec::new();
    let mut count = 1;
    while count < LINES {
        let line = mutation(&corpus, &mut random);
        if !line.contains(&b'\n') && is_bad(&line) {
            stream.extend_from_slice(&line);
            stream.push(b'\n');
            count += 1;
        }
    }
    stream.extend_from_slice(good.as_bytes());
    stream
}

/// Every line is said to be bad, on a line that drives no terminal, and nothing comes out.
fn are_refused(outcome: &Outcome) {
    assert_eq!(outcome.code(), 2, "{outcome}");
    assert_eq!(outcome.out(), "", "{outcome}");
    let said = std::str::from_utf8(&outcome.stderr).expect("messages are UTF-8");
    assert_eq!(said.lines().count(), LINES, "{outcome}");
    let drives = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(drives), "{outcome}");
    for (line, number) in said.lines().zip(1..) {
        assert!(line.contains(&format!(": line {number}: ")), "{line}");
    }
}

/// Fails when `Input::fill` takes the end for a newline, when `swift-signal` signals whatever
/// `instance::pid_path` says, and when a message is printed as it came.
#[test]
fn nothing_is_signalled_by_a_bad_line() {
    let ground = Ground::new();
    for (name, args) in [
        ("swift-signal", &["stop"][..]),
        ("swift-signal", &["--kill", "--wait=0", "KILL"]),
        ("swift-reload", &["--no-check"]),
    ] {
        are_refused(&tool(
            &ground.sandbox,
            name,
            args,
            bad_lines(&ground.running),
        ));
        ground.is_as_it_was();
    }
}

/// Fails when `Input::fill` takes the end for a newline.
#[test]
fn nothing_is_started_by_a_bad_line() {
    let ground = Ground::new();
    let args = ["--keep-limits"];
    are_refused(&tool(
        &ground.sandbox,
        "swift-spawn",
        &args,
        bad_lines(&ground.stopped),
    ));
    ground.is_as_it_was();
}

/// Fails when `Input::fill` takes the end for a newline.
#[test]
fn nothing_is_looked_at_or_removed_by_a_bad_line() {
    let ground = Ground::new();
    are_refused(&tool(
        &ground.sandbox,
        "swift-check-config",
        &[],
        bad_lines(&ground.running),
    ));
    // Process 1 is no object server, so --clean would remove the file.
    let lie = ground.sandbox.pid_file("object-server/3.pid", "1");
    ground.sandbox.conf("object-server/3.conf", "");
    let rows = resolved(&ground.sandbox);
    let row = rows
        .lines()
        .find(|row| row.contains("/3.pid"))
        .expect("its row");
    are_refused(&tool(
        &ground.sandbox,
        "swift-pidfile",
        &["--clean"],
        bad_lines(row),
    ));
    assert_eq!(fs::read(lie).expect("it is there"), b"1");
    ground.is_as_it_was();
}

/// The longest wait that an option takes is longer than the clock can count: then it has no end.
///
/// Fails when `watch::after` adds to the time without a look at the sum.
#[test]
fn the_longest_wait_is_one() {
    let ground = Ground::new();
    let say = |row: &str, name: &str, args: &[&str]| {
        let outcome = tool(&ground.sandbox, name, args, format!("{row}\n"));
        assert_eq!(outcome.code(), 0, "{outcome}");
        let out = outcome.out();
        let last = out.lines().last().expect("a row");
        Row::read(last.as_bytes()).expect("a row").state
    };
    let check = "--timeout=1.8e19";
    assert_eq!(
        say(&ground.running, "swift-check-config", &[check]),
        State::Running
    );
    let spawn = ["--keep-limits", "--start-timeout=1.8e19"];
    assert_eq!(say(&ground.stopped, "swift-spawn", &spawn), State::Ready);
    let signal = ["--wait=1.8e19", "--kill", "stop"];
    assert_eq!(
        say(&ground.running, "swift-signal", &signal),
        State::Stopped
    );
}
