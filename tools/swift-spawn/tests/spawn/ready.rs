//! When a server counts as ready, and when not.

use crate::stage::{Stage, course, release, state, states};

#[test]
fn what_it_printed_is_in_the_row() {
    let stage = Stage::new();
    stage.server("1", r"print = one\ntwo\t\xff\n");
    let outcome = stage.spawn(&[], &stage.row("1"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    assert_eq!(course(&outcome, "1"), "started ready");
    assert_eq!(outcome.rows()[1][6], r"output one\ntwo\t\xff\n");
}

#[test]
fn standard_error_is_output_too() {
    let stage = Stage::new();
    stage.server("1", r"print_error = no devices\n");
    let outcome = stage.spawn(&[], &stage.row("1"));
    assert_eq!(outcome.rows()[1][6], r"output no devices\n");
}

#[test]
fn an_end_just_after_words_is_a_failure() {
    let stage = Stage::new();
    // It closes its outputs, and waits for the test before it ends.
    stage.server(
        "1",
        "print = address in use\\n\nexit_late = true\nexit = 4\nworkers = 0",
    );
    let outcome = stage.spawn(&[], &stage.row("1"));
    assert_eq!(outcome.code(), 1);
    let states = states(&outcome, "1");
    let last = states.last().expect("there are rows");
    assert_eq!(
        (last.0.as_str(), last.1.as_str()),
        ("failed", r"exit-4 address in use\n")
    );
    assert!(outcome.err().ends_with("exit status 4: address in use\n"));
}

#[test]
fn ready_comes_before_what_happens_later() {
    let stage = Stage::new();
    stage.server("1", r"print = careful\n");
    let mut talk = stage.talk(&["-q"]);
    talk.say(&stage.row("1"));
    assert_eq!(state(&talk.hear()), ("started", "-"));
    let row = talk.hear();
    assert_eq!(state(&row), ("ready", r"output careful\n"));
    // It is watched for 3 s, in which it ends by itself.
    let kill = stage.shell(&format!("kill -s KILL {}", row[3]), "");
    assert_eq!(kill.code(), 0, "{kill}");
    assert_eq!(state(&talk.hear()), ("failed", r"signal-9 careful\n"));
    assert_eq!(talk.end(), (vec![], Some(1)));
}

#[test]
fn one_that_takes_its_time_is_awaited_and_holds_up_nobody() {
    let stage = Stage::new();
    let late = stage.fifo("late");
    stage.server("1", &format!("ready_after = {}", late.display()));
    stage.server("2", "");
    let mut talk = stage.talk(&[]);
    talk.say(&(stage.row("1") + &stage.row("2")));
    let heard: Vec<String> = (0..3).map(|_| talk.hear()[5].clone()).collect();
    assert_eq!(heard, ["started", "started", "ready"]);
    // Rows are acted on as they come.
    stage.server("3", "");
    talk.say(&stage.row("3"));
    assert_eq!(talk.hear()[5], "started");
    assert_eq!(talk.hear()[5], "ready");
    release(&late);
    let row = talk.hear();
    assert!(row[1].ends_with("/1.conf"));
    assert_eq!(state(&row), ("ready", "-"));
    assert_eq!(talk.end(), (vec![], Some(0)));
}

#[test]
fn workers_that_hold_the_output_do_not_hide_a_death() {
    let stage = Stage::new();
    stage.server("1", "print = words\\n\nhold_output = true\nexit = 1");
    let outcome = stage.spawn(&[], &stage.row("1"));
    assert_eq!(course(&outcome, "1"), "started failed", "{outcome}");
    assert_eq!(outcome.rows()[1][6], r"exit-1 words\n");
}

#[test]
fn a_flood_holds_up_nobody_and_stays_small() {
    let stage = Stage::new();
    stage.server("1", "");
    stage.server("2", "");
    let flood = stage.path("bin/swift-object-updater");
    std::os::unix::fs::symlink("/usr/bin/yes", flood).unwrap();
    let rows = stage.row_of("object-updater", "2") + &stage.row("1");
    let outcome = stage.spawn(&["--start-timeout", "0.5"], &rows);
    assert_eq!(course(&outcome, "1"), "started ready");
    let rows = outcome.rows();
    let last = rows.last().expect("there are rows");
    assert!(last[6].starts_with("timeout /"), "{}", &last[6][..80]);
    assert!(last[6].contains(" bytes left out]"));
    assert!(last[6].len() < 70_000, "{}", last[6].len());
    assert_eq!(outcome.code(), 1);
}

#[test]
fn two_hundred_deaths_are_never_ready() {
    let stage = Stage::new();
    let names: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let mut rows = String::new();
    for name in &names {
        stage.server(name, "exit = 3");
        rows += &stage.row(name);
    }
    let outcome = stage.spawn(&["-q"], &rows);
    for name in &names {
        assert_eq!(course(&outcome, name), "started failed");
    }
    assert_eq!(outcome.err(), "");
}
