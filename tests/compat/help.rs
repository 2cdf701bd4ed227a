//! Every line of the original's help stands in ours, in the same order; ours may have more.

use std::process::Command;

use test_helpers::run;

use crate::play::Side;

fn help(side: Side) -> String {
    // The original breaks its lines by the width that COLUMNS gives.
    let mut command = Command::new(side.program());
    let outcome = run(command.arg("--help").env("COLUMNS", "80"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    outcome.out()
}

#[test]
fn every_line_of_the_originals_help_stands_in_ours() {
    let (original, ours) = (help(Side::Original), help(Side::Ours));
    let mut rest = ours.lines();
    for line in original.lines() {
        assert!(
            rest.any(|own| own == line),
            "not in ours, or not in this place: {line:?}\n{ours}"
        );
    }
}
