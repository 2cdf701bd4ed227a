//! WatchdogSec=: a manager that lives answers in each phase, and one that hangs is started again.

use test_helpers::systemd::Machine;

use crate::hello::{self, UNIT};
use crate::serve::{is_at_rest, started};

/// Half of it is longer than any pause of a process that is not stopped, on the slowest machine.
const LINES: &str = "WatchdogSec=20\nTimeoutStartSec=infinity\nRestartSec=100ms\n";

/// Waits until the watchdog is answered from here on.
fn until_answered(machine: &Machine) {
    let stamp = || machine.property(UNIT, "WatchdogTimestampMonotonic");
    let before = stamp();
    machine.until("the watchdog is answered", || stamp() != before);
}

#[test]
fn a_watchdog_is_answered_in_each_phase_and_by_a_standby() {
    let Some(machine) = started(LINES) else {
        return;
    };
    until_answered(&machine);
    // A worker of the new generation waits at the gate.
    machine.must("mkfifo -m 666 /run/gate");
    hello::conf(&machine, &[("gate", "/run/gate"), ("workers", "1")]);
    machine.must(&format!("systemctl reload --no-block {UNIT}"));
    machine.until("its worker is awaited", || {
        let status = machine.property(UNIT, "StatusText");
        status.contains("awaiting 1 workers")
    });
    until_answered(&machine);
    machine.must("echo >/run/gate");
    machine.until_property(UNIT, "SubState", "running");
    hello::conf(&machine, &[]);
    // Its standby has another pid than the process that systemd gave the watchdog to.
    let pid = machine.main_pid(UNIT);
    machine.write("/run/faults/swift-serve:announced", "");
    machine.sh(&format!("systemctl reload {UNIT}"));
    machine.until("the standby serves", || {
        machine.main_pid(UNIT) != pid && is_at_rest(&machine)
    });
    until_answered(&machine);
    machine.must(&format!("systemctl reload {UNIT}"));
    until_answered(&machine);
    assert_eq!(machine.property(UNIT, "NRestarts"), "0");
}

#[test]
fn a_manager_that_hangs_is_started_again() {
    let Some(machine) = started(LINES) else {
        return;
    };
    let pid = machine.main_pid(UNIT);
    machine.must(&format!("kill -STOP {pid}"));
    // The workers serve on meanwhile.
    assert_eq!(hello::told(&machine, "generation"), "1");
    machine.until_property(UNIT, "NRestarts", "1");
    machine.until("it is at rest", || is_at_rest(&machine));
    assert_ne!(machine.main_pid(UNIT), pid);
    let journal = machine.journal(UNIT);
    assert!(journal.contains("Watchdog timeout"), "{journal}");
}
