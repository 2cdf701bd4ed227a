//! A site's server under swift-serve, in a unit of either template: systemd and swift-init see the same
//! server, whatever happens to it.

use test_helpers::systemd::Machine;

use crate::hello;

const SERVE: &str = "swift-serve@hello";
const INIT: &str = "swift@hello-server";

const PID_FILE: &str = "/run/swift/hello-server.pid";

fn machine(unit: &str) -> Option<Machine> {
    let machine = Machine::boot()?;
    hello::install(&machine, &[]);
    let lines = "[Service]\nRestartSec=100ms\n";
    machine.drop_in(&format!("{unit}.service"), lines);
    Some(machine)
}

/// That the unit runs, and that systemd, swift-init and the pid file name the same process. Returns its
/// pid.
fn agree(machine: &Machine, unit: &str) -> u32 {
    machine.until_property(unit, "ActiveState", "active");
    let pid: u32 = machine.read(PID_FILE).parse().expect("a pid");
    let status = machine.must("swift-init hello-server status");
    let line = format!("hello-server running ({pid} - /etc/swift/hello-server.conf)\n");
    assert_eq!((status.out(), status.err()), (line, String::new()));
    let own = machine.processes(unit);
    assert!(own.iter().any(|one| one.inner_pid() == Some(pid)));
    if unit == SERVE {
        assert_eq!(machine.main_pid(unit), pid);
    }
    assert!(hello::answers(machine));
    pid
}

/// That both sides say that nothing runs, and why.
fn gone(machine: &Machine, unit: &str) {
    machine.until_property(unit, "ActiveState", "inactive");
    assert_eq!(machine.property(unit, "Result"), "success");
    let status = machine.sh("swift-init hello-server status");
    let nothing = "No hello-server running\n".to_owned();
    assert_eq!((status.code(), status.out()), (1, nothing));
    assert!(status.err().ends_with(".pid: absent\n"), "{status}");
    assert_eq!(machine.read(PID_FILE), "");
}

/// Every reload loses nothing, or is refused, from either side.
fn reloads(machine: &Machine, unit: &str) {
    let pid = agree(machine, unit);
    let both = [
        format!("systemctl reload {unit}"),
        "swift-init hello-server reload-seamless".to_owned(),
    ];
    let load = machine.load(hello::ADDRESS, 16, 0);
    both.iter().for_each(|line| drop(machine.must(line)));
    load.end().all_answered();
    assert_eq!(hello::told(machine, "generation"), "3");
    for bad in [("bind_port", "nonsense"), ("behaviour", "fail")] {
        hello::conf(machine, &[bad]);
        for line in &both {
            let refused = machine.sh(line);
            assert_eq!(refused.code(), 1, "{line}: {refused}");
            assert_eq!(agree(machine, unit), pid);
        }
    }
    assert_eq!(hello::told(machine, "generation"), "3");
    hello::conf(machine, &[]);
}

/// By hand nothing ends it, and nothing is started beside.
fn stays(machine: &Machine, unit: &str) {
    let pid = agree(machine, unit);
    for command in ["stop", "restart"] {
        let refused = machine.sh(&format!("swift-init hello-server {command}"));
        let why = format!("{unit}.service owns pid {pid}: use systemctl {command} {unit}.service");
        assert_eq!(refused.code(), 1, "{refused}");
        assert!(refused.err().contains(&why), "{refused}");
    }
    machine.sh("swift-init hello-server start");
    assert_eq!(agree(machine, unit), pid);
}

/// The server and the unit's main process are killed, and the unit is back.
fn comes_back(machine: &Machine, unit: &str) {
    for round in 1..=2 {
        let server = agree(machine, unit);
        let victim = if round == 1 {
            server
        } else {
            machine.main_pid(unit)
        };
        machine.must(&format!("kill -9 {victim}"));
        machine.until_property(unit, "NRestarts", &round.to_string());
        assert_ne!(agree(machine, unit), server);
    }
}

/// Its start is refused as long as one runs that was started by hand, and tried again.
fn takes_over_after_a_stop_by_hand(machine: &Machine, unit: &str) {
    let by_hand = "setpriv --reuid swift --regid swift --clear-groups swift-init hello-server";
    machine.must(&format!("{by_hand} start"));
    let pid = machine.read(PID_FILE);
    assert_eq!(machine.sh(&format!("systemctl start {unit}")).code(), 1);
    let journal = machine.journal(unit);
    assert!(journal.contains("runs already"), "{journal}");
    assert!(
        journal.contains(&format!("pid {pid}: stop it first")),
        "{journal}"
    );
    assert_eq!(machine.read(PID_FILE), pid);
    machine.must(&format!("{by_hand} stop"));
    assert_ne!(agree(machine, unit).to_string(), pid);
}

fn both_sides_agree(unit: &str) {
    let Some(machine) = machine(unit) else { return };
    machine.must(&format!("systemctl start {unit}"));
    reloads(&machine, unit);
    stays(&machine, unit);
    comes_back(&machine, unit);
    machine.must(&format!("systemctl stop {unit}"));
    gone(&machine, unit);
    takes_over_after_a_stop_by_hand(&machine, unit);
    machine.must("swift-init --force hello-server stop");
    gone(&machine, unit);
}

#[test]
fn both_sides_agree_on_a_unit_of_swift_serve() {
    both_sides_agree(SERVE);
}

#[test]
fn both_sides_agree_on_a_unit_of_swift_init() {
    both_sides_agree(INIT);
}
