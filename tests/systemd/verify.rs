//! The shipped units as text, as systemd-analyze reads them.

use std::path::Path;

use test_helpers::report;
use test_helpers::systemd::{Machine, UNIT_DIR};

/// systemd-analyze of version 252 says "ignoring" for what it does not know and exits 0, so any output
/// counts.
#[test]
fn systemd_takes_every_unit() {
    let Some(machine) = Machine::boot() else {
        return;
    };
    if !machine.path("/usr/bin/systemd-analyze").exists() {
        report("not played: systemd-analyze verify: it is not installed");
        return;
    }
    machine.user("swift");
    // ExecStart= of instances has to be a program.
    machine.program("/usr/bin/swift-test-server", "#!/bin/sh\n");
    let units = machine.must(&format!("ls {UNIT_DIR}")).out();
    let mut verified = 0;
    for unit in units
        .lines()
        .filter(|unit| Path::new(unit).extension().is_some())
    {
        let instance = unit.replace('@', "@test");
        let outcome = machine.sh(&format!("systemd-analyze verify --man=no '{instance}'"));
        let said = outcome.out() + &outcome.err();
        assert!(outcome.code() == 0 && said.is_empty(), "{unit}: {outcome}");
        verified += 1;
    }
    assert!(verified > 0);
}
