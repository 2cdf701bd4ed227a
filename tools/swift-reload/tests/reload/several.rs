//! More than one reload.

use test_helpers::Outcome;

use crate::play::{Going, fifo, happen, reload, said, sandbox, start};

#[test]
fn all_are_reloaded_at_the_same_time() {
    let sandbox = sandbox();
    let servers: Vec<_> = (0..8)
        .map(|number| {
            let event = fifo(&sandbox, &format!("event-{number}"));
            let server = start(
                &sandbox,
                number,
                &format!("reload_after = {}", event.display()),
            );
            (server, event)
        })
        .collect();
    let rows: String = servers.iter().map(|(server, _)| server.running()).collect();
    let mut going = Going::start(&sandbox, &[], &rows);
    for _ in &servers {
        going.until("\tsignalled\t");
    }
    // The last comes first to its end, and none waits for another.
    for (server, event) in servers.iter().rev() {
        happen(event);
        going.until(server.row("reloaded\t-").trim_end());
    }
    assert_eq!(going.finish(), (String::new(), Some(0)));
}

#[test]
fn one_by_one_stops_at_the_first_failure() {
    let sandbox = sandbox();
    let first = start(&sandbox, 1, "");
    let second = start(&sandbox, 2, "reload = die\ncheck_exit = 1");
    let third = start(&sandbox, 3, "reload = die");
    let passing = third.row("stopped\tabsent");
    let rows = first.running() + &second.running() + &third.running() + &passing;
    let outcome = reload(&sandbox, &["--one-by-one"], &rows);
    let mut said = said(&outcome);
    said.retain(|row| row != "stopped absent");
    assert_eq!(
        (said, outcome.code()),
        (
            [
                "signalled -",
                "reloaded -",
                "misconfigured exit-1",
                "unreloaded interrupted"
            ]
            .map(String::from)
            .to_vec(),
            1
        )
    );
    assert!(second.lives() && third.lives());
}

#[test]
fn a_failure_does_not_stop_the_others() {
    let sandbox = sandbox();
    let bad = start(&sandbox, 1, "check_exit = 1");
    let good = start(&sandbox, 2, "");
    let outcome = reload(&sandbox, &[], &(bad.running() + &good.running()));
    let mut said = said(&outcome);
    said.sort();
    assert_eq!(
        said,
        ["misconfigured exit-1", "reloaded -", "signalled -"],
        "{outcome}"
    );
    assert_eq!(outcome.code(), 1);
}

#[test]
fn two_never_work_on_the_same_process() {
    let sandbox = sandbox();
    let event = fifo(&sandbox, "event");
    let server = start(&sandbox, 1, &format!("reload_after = {}", event.display()));
    let mut first = Going::start(&sandbox, &[], &server.running());
    first.until("\tsignalled\t");
    let second = reload(&sandbox, &[], &server.running());
    let holder = format!("held by {} (swift-reload)", first.pid());
    assert_eq!(said(&second), [format!("unreloaded busy {holder}")]);
    let by_pid = reload(&sandbox, &[&server.pid.to_string()], "");
    assert_eq!(
        (by_pid.err(), by_pid.code()),
        (
            format!(
                "Could not bind notification socket: [Errno 98] Address already in use ({holder})\n"
            ),
            1
        )
    );
    happen(&event);
    first.until("\treloaded\t");
    assert_eq!(first.finish().1, Some(0));
}

#[test]
fn a_reader_that_is_gone_ends_what_was_not_begun() {
    let sandbox = sandbox();
    let event = fifo(&sandbox, "event");
    let first = start(&sandbox, 1, &format!("reload_after = {}", event.display()));
    let second = start(&sandbox, 2, "reload = die");
    let rows = sandbox.path("rows");
    std::fs::write(&rows, first.running() + &second.running()).unwrap();
    // head is gone after the first row, and only then the reload comes to its end.
    let line = "{ swift-reload --one-by-one --swift-dir etc <rows; echo $? >&2; } |
        { head -n 1; exec <&-; : >event; }";
    let outcome = test_helpers::run(sandbox.command("sh").args(["-c", line]));
    assert_eq!(said(&outcome), ["signalled -"], "{outcome}");
    assert_eq!(outcome.err(), "1\n");
    assert!(first.lives() && second.lives());
}

#[test]
fn rows_are_taken_as_they_come() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "");
    std::fs::write(sandbox.path("row"), server.running()).unwrap();
    let done = fifo(&sandbox, "done");
    // The writer of the rows ends only after the reload has.
    let line = "{ cat row; : <done; } | swift-reload --swift-dir etc | {
        read -r signalled; echo \"$signalled\"; read -r reloaded; echo \"$reloaded\"; : >done; }";
    let outcome = test_helpers::run(sandbox.command("sh").args(["-c", line]));
    assert_eq!(said(&outcome), ["signalled -", "reloaded -"], "{outcome}");
    drop(done);
}

#[test]
fn few_descriptors_are_shared() {
    let (outcome, servers) = with_descriptors(24);
    let reloaded = said(&outcome);
    let reloaded = reloaded.iter().filter(|row| *row == "reloaded -");
    assert_eq!(
        (reloaded.count(), outcome.code()),
        (servers, 0),
        "{outcome}"
    );
}

#[test]
fn too_few_descriptors_are_failures_and_no_crash() {
    let (outcome, servers) = with_descriptors(14);
    let failed = vec!["unreloaded untested Too many open files".to_owned(); servers];
    assert_eq!((said(&outcome), outcome.code()), (failed, 1), "{outcome}");
}

/// Reloads servers with that many descriptors; says how many there were, which all live.
fn with_descriptors(limit: usize) -> (Outcome, usize) {
    let sandbox = sandbox();
    let servers: Vec<_> = (0..12).map(|n| start(&sandbox, n, "")).collect();
    let rows: String = servers.iter().map(|server| server.running()).collect();
    std::fs::write(sandbox.path("rows"), &rows).unwrap();
    let line = format!("ulimit -n {limit}; exec swift-reload --swift-dir etc <rows");
    let outcome = test_helpers::run(sandbox.command("sh").args(["-c", &line]));
    assert!(servers.iter().all(|server| server.lives()));
    (outcome, servers.len())
}
