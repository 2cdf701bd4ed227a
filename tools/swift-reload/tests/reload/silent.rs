//! Servers that do not announce the end of their reload, or only half of it: Swift before 2.35, and an
//! upgrade from it or back to it.

use std::os::unix::fs::PermissionsExt as _;

use test_helpers::{Outcome, Sandbox};

use crate::play::{Going, Server, fifo, happen, is_root, reload, said, start};

const RELOADED: [&str; 2] = ["signalled -", "reloaded -"];

/// A sandbox whose object server executes itself anew, as `exec-server` describes.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let program = sandbox.path("bin/swift-object-server");
    std::fs::write(&program, include_str!("exec-server")).expect("the sandbox is ours");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("it is ours");
    sandbox
}

/// Writes the config for the next image.
fn change(server: &Server, lines: &str) {
    std::fs::write(&server.config, lines).expect("the sandbox is ours");
}

fn reload_with(lines: &str, args: &[&str]) -> Outcome {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, lines);
    let outcome = reload(&sandbox, args, &server.running());
    assert!(server.lives(), "{outcome}");
    outcome
}

#[test]
fn a_reload_without_a_word_is_seen() {
    for lines in ["", "workers = 3", "workers = 0", "keeper = false"] {
        let outcome = reload_with(lines, &[]);
        assert_eq!(
            (said(&outcome).as_slice(), outcome.code()),
            (&RELOADED.map(String::from)[..], 0),
            "{lines}"
        );
    }
}

#[test]
fn half_a_word_will_do() {
    // As from a silent release to one that speaks, from that one to a silent one, and between two.
    for lines in ["says = READY", "says = RELOADING", "says = RELOADING,READY"] {
        let outcome = reload_with(lines, &[]);
        assert_eq!(said(&outcome), RELOADED, "{lines}: {outcome}");
    }
}

#[test]
fn a_pid_is_reloaded_without_a_word() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "");
    let outcome = reload(&sandbox, &["-v", &server.pid.to_string()], "");
    let steps = "Checking config for swift-object-server\n\
                 Sending USR1 signal\n\
                 Reloaded swift-object-server\n";
    assert_eq!(
        (outcome.out().as_str(), outcome.code()),
        (steps, 0),
        "{outcome}"
    );
}

#[test]
fn readiness_counts_only_after_an_exec() {
    let outcome = reload_with("executes = false", &["-t1"]);
    assert_eq!(
        said(&outcome),
        ["signalled -", "unreloaded timeout"],
        "{outcome}"
    );
}

#[test]
fn a_new_image_without_workers_is_seen_by_what_the_old_one_leaves() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "workers = 2");
    let (executed, seen) = (fifo(&sandbox, "executed"), fifo(&sandbox, "seen"));
    let events = format!(
        "catch_after = {}\nrelease_after = {}",
        executed.display(),
        seen.display()
    );
    change(&server, &format!("workers = 0\ncatches = false\n{events}"));
    let mut going = Going::start(&sandbox, &[], &server.running());
    going.until("\tsignalled\t");
    happen(&executed);
    // The old image's child is told only after it was seen: each look follows a wait.
    going.await_waits(10);
    happen(&seen);
    going.until("\treloaded\t");
    assert_eq!(going.finish().1, Some(0));
}

#[test]
fn a_new_image_that_does_not_catch_the_signal_is_not_ready() {
    hangs("catch_after");
}

#[test]
fn a_new_image_whose_workers_are_not_ready_is_not_ready() {
    hangs("workers_after");
}

/// A reload in which the new image waits for an event comes to its end after that, and not before.
fn hangs(event: &str) {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "");
    let held = fifo(&sandbox, "held");
    change(&server, &format!("{event} = {}", held.display()));
    let outcome = reload(&sandbox, &["-t1"], &server.running());
    assert_eq!(
        said(&outcome),
        ["signalled -", "unreloaded timeout"],
        "{outcome}"
    );
    happen(&held);
    // The next one waits until this one can take the signal.
    let mut going = Going::start(&sandbox, &[], &server.running());
    going.until("\tsignalled\t");
    happen(&held);
    going.until("\treloaded\t");
    assert_eq!(going.finish().1, Some(0));
}

#[test]
fn a_new_image_that_ends_is_noticed() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "");
    change(&server, "ends = 1");
    let outcome = reload(&sandbox, &[], &server.running());
    assert_eq!(
        said(&outcome),
        ["signalled -", "unreloaded vanished"],
        "{outcome}"
    );
}

#[test]
fn several_are_seen_at_the_same_time() {
    let sandbox = sandbox();
    let servers: Vec<_> = (1..5).map(|number| start(&sandbox, number, "")).collect();
    let rows: String = servers.iter().map(Server::running).collect();
    for args in [&[][..], &["--one-by-one"]] {
        let outcome = reload(&sandbox, args, &rows);
        let reloaded = said(&outcome)
            .iter()
            .filter(|row| *row == "reloaded -")
            .count();
        assert_eq!((reloaded, outcome.code()), (4, 0), "{outcome}");
    }
}

#[test]
fn a_server_that_awaits_the_signal_takes_it() {
    if !is_root("a server that waits in sigwait(3)") {
        return;
    }
    let outcome = reload_with("catches = sigwait\nsays = RELOADING", &[]);
    assert_eq!(said(&outcome), RELOADED, "{outcome}");
}

#[test]
fn one_that_will_never_take_the_signal_is_not_waited_for() {
    for args in [&["-w"][..], &[]] {
        let outcome = reload_with("catches = false", args);
        let why = "unreloaded unsupported SIGUSR1 would kill it";
        assert_eq!(
            (said(&outcome), outcome.code()),
            (vec![why.into()], 1),
            "{outcome}"
        );
    }
}
