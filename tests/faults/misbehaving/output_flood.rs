//! Servers that print without end: what is kept of it is bounded, in every process that it passes.

use std::fs;
use std::process::{Child, Command, Stdio};

use test_helpers::{finish, run};

use crate::failpoints::{Pause, Points};
use crate::misbehaving::story::Fixture;
use crate::soak::times;

/// The most memory that a tool may have had at any time, in KiB: far from any flood. These are
/// programs with debugging code, which have more than those that are installed.
const MOST: u64 = 16 * 1024;

/// What an excerpt keeps, at both ends together.
const KEPT: usize = 64 * 1024;

fn flood() -> usize {
    times(32 << 20, 1 << 30)
}

/// The most memory that a process has had, in KiB.
fn peak(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it stands at a point");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.expect("a size").parse().expect("a number")
}

/// Whoever stands at the point has kept within bounds.
fn measure(pause: &Pause) {
    let peak = peak(pause.reached());
    assert!(peak < MOST, "{peak} KiB");
    pause.go();
}

fn started(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started")
}

/// Seen failing with an excerpt that keeps everything: 39 MiB in swift-spawn for 32 MiB. The original
/// keeps everything.
#[test]
fn a_flood_before_it_is_ready_is_cut_and_counted() {
    let flood = flood();
    for (end, code) in [("", 0), ("exit = 3", 1)] {
        let fixture = Fixture::new(&[&format!("flood = {flood}\n{end}")]);
        let points = Points::new(&fixture.sandbox);
        let spawn = points.pause_at("swift-spawn:output-ended");
        let init = points.pause_at("swift-init:row-received");
        let mut start = fixture.tool("swift-init");
        let start = started(points.apply(start.args(["object", "start"])));
        // That it was started, and what came of it.
        measure(&init);
        measure(&spawn);
        measure(&init);
        if code == 0 {
            // Once more when it has outlived its words, or nothing: it is let go of either way.
            drop(init);
        }
        let outcome = finish(start);
        assert_eq!(outcome.code(), code, "{}", outcome.err());
        let cut = format!("\n[{} bytes left out]\n", flood - KEPT);
        assert_eq!(outcome.out().matches(&cut).count(), 1);
        let xs = outcome.stdout.iter().filter(|byte| **byte == b'x').count();
        // Two are in the word `exit`, and in what else is said.
        assert!((KEPT..KEPT + 64).contains(&xs), "{xs}");
    }
}

/// The same in the single tool, whose row is one line of a length that every tool takes.
#[test]
fn a_flood_fits_into_a_row() {
    let flood = flood() / 4;
    let fixture = Fixture::new(&[&format!("flood = {flood}\nprint_error = \\x01\nexit = 3")]);
    let outcome = run(&mut fixture.command("rows | swift-spawn -q --keep-limits | swift-pidfile"));
    assert_eq!(outcome.code(), 0, "{}", outcome.err());
    let rows = outcome.rows();
    assert_eq!(rows.len(), 2);
    // swift-pidfile has looked anew, so its rows hold no output; those of swift-spawn do.
    let outcome = run(&mut fixture.command("rows | swift-spawn -q --keep-limits"));
    let rows = outcome.rows();
    assert_eq!((rows.len(), rows[1].len()), (2, 7));
    let cut = format!("\\n[{} bytes left out]\\n", flood + 1 - KEPT);
    assert!(
        rows[1][6].starts_with("exit-3 \\x01xxx"),
        "{}",
        &rows[1][6][..40]
    );
    assert!(rows[1][6].contains(&cut));
}

/// What a server says of its config is cut as well. Seen failing as the first.
#[test]
fn a_flood_from_a_check_is_cut() {
    let flood = flood();
    let fixture = Fixture::new(&[&format!("check_flood = {flood}\ncheck_exit = 1")]);
    let points = Points::new(&fixture.sandbox);
    let checked = points.pause_at("swift-check-config:checked");
    let mut line = fixture.command("rows | swift-check-config -q");
    let check = started(points.apply(&mut line));
    measure(&checked);
    let outcome = finish(check);
    assert_eq!(outcome.code(), 1, "{}", outcome.err());
    let rows = outcome.rows();
    assert_eq!(rows[0][5], "misconfigured");
    let cut = format!("\\n[{} bytes left out]\\n", flood - KEPT);
    assert!(rows[0][6].contains(&cut));
}

/// As many as there are, some always have something to say, and their time is up all the same. Fails
/// when what was killed for that counts as ended by itself. That one is not read for ever is tested
/// where it is read, since here it depends on who is faster.
#[test]
fn checks_that_print_without_end_are_ended_when_their_time_is_up() {
    const COUNT: usize = 8;
    let fixture = Fixture::new(&[""; COUNT]);
    let outcome = run(&mut fixture.command("rows | swift-spawn -q --keep-limits"));
    assert_eq!(outcome.code(), 0, "{}", outcome.err());
    for number in 1..=COUNT {
        let conf = format!("object-server/{number}.conf");
        fixture
            .sandbox
            .conf(&conf, "check_flood = 1000000000000000\n");
    }
    for tool in [
        "swift-check-config -q --timeout=0.1",
        "swift-reload -q --check-timeout=0.1",
    ] {
        let outcome = run(&mut fixture.command(&format!("rows | {tool}")));
        assert_eq!(outcome.code(), 1, "{}", outcome.err());
        let rows = outcome.rows();
        assert_eq!(rows.len(), COUNT);
        for row in rows {
            assert_eq!(row[5], "misconfigured");
            assert!(row[6].starts_with("timeout"), "{}", &row[6][..20]);
        }
    }
    assert_eq!(fixture.alive().len(), COUNT);
}
