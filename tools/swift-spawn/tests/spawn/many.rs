//! Many servers, few descriptors, several starters.

use std::collections::HashSet;
use std::fs;

use crate::stage::{Stage, course, runs};

fn stage_of(count: usize) -> (Stage, String) {
    let stage = Stage::new();
    let mut rows = String::new();
    for n in 0..count {
        stage.server(&n.to_string(), "");
        rows += &stage.row(&n.to_string());
    }
    (stage, rows)
}

#[test]
fn few_descriptors_are_enough_for_many_servers() {
    let (stage, rows) = stage_of(30);
    // Room for three servers at a time.
    let line = "ulimit -n 70; exec swift-spawn --keep-limits";
    for from_pipe in [false, true] {
        let line = if from_pipe {
            format!("cat | ({line})")
        } else {
            line.to_owned()
        };
        let outcome = stage.shell(&line, &rows);
        assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
        for n in 0..30 {
            let course = course(&outcome, &n.to_string());
            let wanted = if from_pipe {
                "running"
            } else {
                "started ready"
            };
            assert_eq!(course, wanted);
        }
    }
}

#[test]
fn several_starters_start_each_server_once() {
    let (stage, rows) = stage_of(30);
    fs::write(stage.path("rows"), &rows).unwrap();
    let line = "for n in 1 2 3 4; do swift-spawn --keep-limits <rows >out$n & done; \
                wait; cat out1 out2 out3 out4";
    let outcome = stage.shell(line, "");
    let rows = outcome.rows();
    assert_eq!(outcome.err(), "");
    let of = |state: &str| rows.iter().filter(|row| row[5] == state).count();
    assert_eq!((of("started"), of("ready")), (30, 30));
    // Just after its exec a process has no command line yet.
    assert_eq!(of("running") + of("starting"), 90);
    let pids: HashSet<&String> = rows.iter().map(|row| &row[3]).collect();
    assert_eq!(pids.len(), 30);
    assert!(pids.iter().all(|pid| runs(pid)));
}
