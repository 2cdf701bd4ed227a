//! Servers that end when they should not, and those that are ended.

use std::fs;
use std::io::Read as _;

use crate::stage::{Stage, course, runs, state, states};

#[test]
fn how_it_ended_is_in_the_row() {
    let stage = Stage::new();
    stage.server("1", "exit = 3\nprint = no ring\\n");
    stage.server("2", "die_by = KILL");
    stage.server("3", "exit = 0");
    stage.server("4", "exit = 0\nprint = done\\n");
    let rows: String = ["1", "2", "3", "4"].iter().map(|n| stage.row(n)).collect();
    let outcome = stage.spawn(&[], &rows);
    assert_eq!(outcome.code(), 1);
    for (name, state, detail) in [
        ("1", "failed", r"exit-3 no ring\n"),
        ("2", "failed", "signal-9"),
        ("3", "finished", "-"),
        ("4", "finished", r"output done\n"),
    ] {
        let states = states(&outcome, name);
        assert_eq!(states.len(), 2, "{outcome}");
        assert_eq!(states[1], (state.to_owned(), detail.to_owned()));
    }
    let etc = stage.etc();
    let mut told: Vec<String> = outcome.err().lines().map(str::to_owned).collect();
    told.sort();
    let wanted = [("1", "exit status 3: no ring"), ("2", "ended by SIGKILL")];
    let wanted = wanted.map(|(name, how)| {
        let conf = etc.join(format!("object-server/{name}.conf"));
        format!(
            "swift-spawn: object-server ({}) failed: {how}",
            conf.display()
        )
    });
    assert_eq!(told, wanted);
    // The original leaves the pid file of a failed start, and so does this.
    assert!(stage.pid_path("1").exists());
}

#[test]
fn an_end_is_seen_also_where_children_are_ignored() {
    let stage = Stage::new();
    stage.server("1", "exit = 3");
    let line = "trap '' CHLD; exec swift-spawn --keep-limits -q";
    let outcome = stage.shell(line, &stage.row("1"));
    assert_eq!(states(&outcome, "1")[1].1, "exit-3", "{outcome}");
}

#[test]
fn one_that_is_not_ready_in_time_is_stopped() {
    let stage = Stage::new();
    let never = stage.fifo("never");
    let lines = format!("print = wait\\n\nready_after = {}", never.display());
    stage.server("1", &lines);
    let outcome = stage.spawn(&["--start-timeout=0.1"], &stage.row("1"));
    assert_eq!(course(&outcome, "1"), "started failed", "{outcome}");
    assert_eq!(outcome.rows()[1][6], r"timeout wait\n");
    assert!(outcome.err().ends_with("it is not ready in time: wait\n"));
    assert!(!stage.pid_path("1").exists());
    assert!(!runs(&outcome.rows()[0][3]));
}

#[test]
fn one_that_ignores_term_is_killed_with_its_group() {
    let stage = Stage::new();
    fs::write(
        stage.etc().join("swift-init.toml"),
        "[defaults]\nkill_wait = 0\n",
    )
    .unwrap();
    let held = stage.fifo("held");
    let script = format!(
        "#!/bin/sh\ntrap '' TERM\nexec 3>{}\nsleep 60 &\nwait\n",
        held.display()
    );
    fs::write(stage.path("bin/swift-object-updater"), script).unwrap();
    stage.shell("chmod +x bin/swift-object-updater", "");
    stage.server("1", "");
    let mut talk = stage.talk(&["-q", "--start-timeout=2"]);
    talk.say(&stage.row_of("object-updater", "1"));
    assert_eq!(state(&talk.hear()), ("started", "-"));
    let mut held = fs::File::open(held).expect("it is there");
    assert_eq!(state(&talk.hear()), ("failed", "timeout"));
    assert_eq!(talk.end(), (vec![], Some(1)));
    assert!(!stage.run_dir().join("object-updater/1.pid").exists());
    // It ends when the server and its child are gone.
    assert_eq!(held.read(&mut [0]).expect("it can be read"), 0);
}
