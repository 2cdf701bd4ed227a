//! swift-spawn is told to stop, or nobody reads what it says.

use std::fs;

use crate::stage::{Stage, release, runs, state};

#[test]
fn term_begins_nothing_more_and_ends_nothing() {
    for signal in ["TERM", "INT", "HUP"] {
        let stage = Stage::new();
        let late = stage.fifo("late");
        stage.server("1", &format!("ready_after = {}", late.display()));
        stage.server("2", "");
        let mut talk = stage.talk(&["-q"]);
        talk.say(&stage.row("1"));
        assert_eq!(state(&talk.hear()), ("started", "-"));
        talk.signal(signal);
        let rows = stage.row("2") + &stage.row("2").replace("stopped", "running");
        // The signal was sent before the rows were written, and is looked at first.
        talk.say(&rows);
        assert_eq!(state(&talk.hear()), ("failed", "interrupted"), "{signal}");
        assert_eq!(state(&talk.hear()), ("running", "absent"));
        release(&late);
        let row = talk.hear();
        assert_eq!(state(&row), ("ready", "-"));
        assert!(runs(&row[3]));
        assert_eq!(talk.end(), (vec![], Some(1)), "{signal}");
        assert!(!stage.pid_path("2").exists());
    }
}

#[test]
fn an_idle_one_ends_at_once() {
    let stage = Stage::new();
    stage.server("1", "");
    let mut talk = stage.talk(&[]);
    talk.say(&stage.row("1"));
    assert_eq!(talk.hear()[5], "started");
    assert_eq!(talk.hear()[5], "ready");
    talk.signal("TERM");
    // Its input is still open.
    assert!(talk.no_more());
    assert_eq!(talk.end(), (vec![], Some(1)));
}

#[test]
fn a_second_interrupt_is_taken_at_its_word() {
    let stage = Stage::new();
    let never = stage.fifo("never");
    stage.server("1", &format!("ready_after = {}", never.display()));
    stage.server("2", "");
    let mut talk = stage.talk(&["-q"]);
    talk.say(&stage.row("1"));
    assert_eq!(talk.hear()[5], "started");
    talk.signal("INT");
    talk.say(&stage.row("2"));
    assert_eq!(state(&talk.hear()), ("failed", "interrupted"));
    talk.signal("INT");
    // It died of the signal, so it has no exit status.
    assert_eq!(talk.end(), (vec![], None));
}

#[test]
fn signals_that_are_ignored_stay_ignored() {
    let stage = Stage::new();
    let late = stage.fifo("late");
    stage.server("1", &format!("ready_after = {}", late.display()));
    fs::write(stage.path("rows"), stage.row("1")).unwrap();
    // A job in the background of a script ignores INT.
    let line = "trap '' INT; mkfifo back; swift-spawn --keep-limits <rows >back & spawn=$!; \
                { read row; kill -s INT $spawn; : >late; cat; } <back; wait $spawn";
    let outcome = stage.shell(line, "");
    assert_eq!(outcome.code(), 0, "{outcome}");
    assert_eq!(outcome.rows()[0][5], "ready");
}

#[test]
fn a_long_pass_is_not_awaited_any_more() {
    let stage = Stage::new();
    let (up, never) = (stage.fifo("up"), stage.fifo("never"));
    let script = stage.path("bin/swift-object-updater");
    let text = format!(
        "#!/bin/sh\nexec >/dev/null 2>&1\n: >{}\n: <{}\n",
        up.display(),
        never.display()
    );
    fs::write(&script, text).unwrap();
    stage.shell("chmod +x bin/swift-object-updater", "");
    stage.server("1", "");
    let mut talk = stage.talk(&["--once"]);
    talk.say(&stage.row_of("object-updater", "1"));
    let row = talk.hear();
    assert_eq!(state(&row), ("started", "-"));
    drop(fs::File::open(up).expect("it is up"));
    talk.signal("TERM");
    assert_eq!(state(&talk.hear()), ("ready", "-"));
    assert_eq!(talk.end(), (vec![], Some(1)));
    assert!(runs(&row[3]));
    let kill = stage.shell(&format!("kill {}", row[3]), "");
    assert_eq!(kill.code(), 0, "{kill}");
}

#[test]
fn without_a_reader_nothing_more_is_begun() {
    let stage = Stage::new();
    let late = stage.fifo("late");
    let tell = stage.fifo("tell");
    let lines = format!(
        "ready_after = {}\ntell = {}",
        late.display(),
        tell.display()
    );
    stage.server("1", &lines);
    stage.server("2", "");
    fs::write(stage.path("first"), stage.row("1")).unwrap();
    fs::write(stage.path("second"), stage.row("2")).unwrap();
    let line = "mkfifo rows back go; swift-spawn --keep-limits -q <rows >back & spawn=$!
                exec 3>rows; exec 4<back; cat first >&3; read row <&4; exec 4<&-
                cat second second >&3; exec 3>&-; : >late; : <tell; wait $spawn; echo $?";
    let outcome = stage.shell(line, "");
    // The row of the second start finds nobody; the third row is not acted on. What was begun
    // comes up all the same.
    assert_eq!(outcome.out(), "1\n", "{outcome}");
    let pid = fs::read_to_string(stage.pid_path("1")).unwrap();
    assert!(runs(&pid));
}

#[test]
fn a_full_disk_under_the_rows_kills_no_server() {
    let stage = Stage::new();
    let (late, tell) = (stage.fifo("late"), stage.fifo("tell"));
    let lines = format!(
        "ready_after = {}\ntell = {}",
        late.display(),
        tell.display()
    );
    stage.server("1", &lines);
    stage.server("2", "");
    fs::write(stage.path("rows"), stage.row("1") + &stage.row("2")).unwrap();
    let line = "swift-spawn --keep-limits <rows >/dev/full & spawn=$!; \
                : >late; : <tell; wait $spawn; echo $?";
    let outcome = stage.shell(line, "");
    assert_eq!(
        outcome.err(),
        "swift-spawn: cannot write standard output: No space left on device\n"
    );
    assert_eq!(outcome.out(), "1\n");
    assert!(!stage.pid_path("2").exists());
}
