//! Servers on the caller's terminal.

use std::fs;

use crate::stage::{Stage, state};

#[test]
fn servers_get_the_descriptors_that_are_named() {
    let stage = Stage::new();
    let (record, up) = (stage.path("record"), stage.fifo("up"));
    let lines = format!(
        "record = {}\ntell = {}\nprint = to the terminal\\n\nprint_error = an error\\n\nno_setsid = true",
        record.display(),
        up.display()
    );
    stage.server("1", &lines);
    fs::write(stage.path("rows"), stage.row("1")).unwrap();
    fs::write(stage.path("in"), "").unwrap();
    let line = "exec 3<in 4>out 5>err; swift-spawn --keep-limits --foreground \
                --input-fd 3 --output-fd=4 --error-fd=5 <rows & \
                spawn=$!; : <up; kill $(cat run/object-server/1.pid); wait $spawn";
    let outcome = stage.shell(line, "");
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    let rows = outcome.rows();
    let states: Vec<(&str, &str)> = rows.iter().map(state).collect();
    assert_eq!(states, [("started", "-"), ("finished", "-")]);
    let read = |name: &str| fs::read_to_string(stage.path(name)).unwrap();
    assert_eq!(
        (read("out").as_str(), read("err").as_str()),
        ("to the terminal\n", "an error\n")
    );
    let text = read("record");
    assert!(text.contains("/1.conf verbose\n"), "{text}");
    assert!(text.contains("session: inherited\n"), "{text}");
    let dir = stage.path("").display().to_string();
    let wanted = format!("descriptor 0: {dir}in\ndescriptor 1: {dir}out\ndescriptor 2: {dir}err\n");
    assert!(text.contains(&wanted), "{text}");
    assert!(!text.contains("descriptor 3"), "{text}");
}

#[test]
fn rows_stay_apart_from_what_servers_print() {
    let stage = Stage::new();
    stage.server("1", "print = hello\\n\nexit = 0");
    let outcome = stage.spawn(&["--foreground"], &stage.row("1"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, "hello\n"));
    assert_eq!(outcome.rows().len(), 2);
}

#[test]
fn term_leaves_the_servers_to_the_caller() {
    let stage = Stage::new();
    let up = stage.fifo("up");
    stage.server("1", &format!("tell = {}", up.display()));
    let mut talk = stage.talk(&["--foreground"]);
    talk.say(&stage.row("1"));
    let row = talk.hear();
    assert_eq!(state(&row), ("started", "-"));
    drop(fs::File::open(up).expect("it comes up"));
    talk.signal("TERM");
    assert_eq!(talk.end(), (vec![], Some(1)));
    assert!(crate::stage::runs(&row[3]));
}

#[test]
fn an_interrupt_is_the_servers_and_their_end_is_told() {
    let stage = Stage::new();
    stage.server("1", "");
    let mut talk = stage.talk(&["--foreground"]);
    talk.say(&stage.row("1"));
    let row = talk.hear();
    talk.signal("INT");
    talk.signal("INT");
    let kill = stage.shell(&format!("kill -s INT {}", row[3]), "");
    assert_eq!(kill.code(), 0, "{kill}");
    assert_eq!(state(&talk.hear()), ("failed", "signal-2"));
    assert_eq!(talk.end(), (vec![], Some(1)));
}

#[test]
fn a_descriptor_that_is_not_there_is_named() {
    let stage = Stage::new();
    let outcome = stage.spawn(&["--foreground", "--output-fd=77"], "");
    assert_eq!(
        outcome.err(),
        "swift-spawn: option --output-fd: cannot use descriptor 77: Bad file descriptor\n"
    );
    assert_eq!(outcome.code(), 1);
}
