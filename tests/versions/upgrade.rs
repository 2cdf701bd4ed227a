//! New code is installed while the old code runs, and a seamless reload brings it into force.

use std::path::Path;

use test_helpers::lab::{Lab, venv};
use test_helpers::{run, tools_dir};

use crate::assert_no_process;

/// What happens inside, in a network of its own, under load.
const STEPS: &str = include_str!("upgrade.sh");

/// Replaces the code of one release by that of another, reloads, and looks that no request was refused
/// and every server runs the new code.
fn upgrade(old: &str, new: &str) {
    let (before, after) = (venv(old), venv(new));
    let lab = Lab::on(&before);
    // Machines that have a lot to do are slow to answer, which is not what is looked at.
    lab.edit(
        "proxy-server.conf",
        "account_autocreate = true",
        "account_autocreate = true\nconn_timeout = 30\nnode_timeout = 120",
    );
    let load = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lab/load.py");
    let mut command = lab.command_in_network("sh");
    command.args(["-c", STEPS, "upgrade.sh"]);
    command.args([lab.dir(), tools_dir(), &before, &after, &load]);
    let outcome = run(&mut command);
    assert_eq!(outcome.code(), 0, "{old} to {new}: {outcome}");
    assert_no_process(&lab);
}

#[test]
fn upgrade_from_2_30_to_2_38() {
    upgrade("2.30", "2.38");
}

#[test]
#[ignore = "`make test-versions` plays it"]
fn upgrade_from_2_33_to_2_38() {
    upgrade("2.33", "2.38");
}

#[test]
#[ignore = "`make test-versions` plays it"]
fn downgrade_from_2_38_to_2_33() {
    upgrade("2.38", "2.33");
}
