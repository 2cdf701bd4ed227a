//! One pass of a daemon.

use std::fs;

use crate::stage::{Stage, course, release, state, states};

#[test]
fn daemons_do_one_pass_and_main_servers_start() {
    let stage = Stage::new();
    let record = stage.path("record");
    stage.server("1", &format!("record = {}", record.display()));
    let rows = stage.row("1") + &stage.row_of("object-replicator", "1");
    let outcome = stage.spawn(&["--once"], &rows);
    assert_eq!(outcome.code(), 0, "{outcome}");
    let last = |server: &str| {
        let rows = outcome.rows();
        rows.iter().rfind(|row| row[0] == server).unwrap()[5].clone()
    };
    assert_eq!(last("object-server"), "ready");
    assert_eq!(last("object-replicator"), "finished");
    let text = fs::read_to_string(record).unwrap();
    let args: Vec<bool> = text
        .lines()
        .filter(|line| line.starts_with("args: "))
        .map(|line| line.ends_with(" once"))
        .collect();
    assert_eq!(args.iter().filter(|once| **once).count(), 1, "{text}");
    assert_eq!(args.len(), 2);
}

#[test]
fn a_pass_that_fails_says_how() {
    let stage = Stage::new();
    stage.server("1", "once_exit = 7\nprint = no devices\\n");
    let row = stage.row_of("object-replicator", "1");
    let outcome = stage.spawn(&["--once", "-q"], &row);
    let wanted = ("failed".to_owned(), r"exit-7 no devices\n".to_owned());
    assert_eq!(states(&outcome, "1")[1], wanted);
    assert_eq!((outcome.code(), outcome.err().as_str()), (1, ""));
}

#[test]
fn its_end_is_awaited_after_its_output_has_ended() {
    let stage = Stage::new();
    let go_on = stage.fifo("go-on");
    // Real daemons close their output at once, and then work.
    let script = stage.path("bin/swift-object-updater");
    let text = format!(
        "#!/bin/sh\necho working\nexec >/dev/null 2>&1\n: <{}\n",
        go_on.display()
    );
    fs::write(&script, text).unwrap();
    stage.shell("chmod +x bin/swift-object-updater", "");
    stage.server("1", "");
    let mut talk = stage.talk(&["--once"]);
    talk.say(&stage.row_of("object-updater", "1"));
    assert_eq!(state(&talk.hear()), ("started", "-"));
    release(&go_on);
    assert_eq!(state(&talk.hear()), ("finished", r"output working\n"));
    assert_eq!(talk.end(), (vec![], Some(0)));
}

#[test]
fn a_pass_in_the_background_is_not_awaited() {
    let stage = Stage::new();
    stage.server("1", "");
    let row = stage.row_of("object-replicator", "1");
    let outcome = stage.spawn(&["--once", "--no-wait"], &row);
    assert_eq!(course(&outcome, "1"), "started");
}
