//! Listening sockets that systemd keeps or has: no client is refused while the unit is started again.

use std::thread;
use std::time::Duration;

use test_helpers::systemd::Machine;
use test_helpers::{Counts, report};

use crate::hello::{self, ADDRESS, UNIT};
use crate::kills::Random;
use crate::reloads::times;

/// The longest pause before a kill: that of a reload and more.
const PAUSE_MAX: Duration = Duration::from_millis(600);

/// The unit, not started, which systemd starts again soon.
fn installed() -> Option<Machine> {
    let machine = Machine::boot()?;
    hello::install(&machine, &[]);
    let drop_in = "[Service]\nRestartSec=100ms\n";
    machine.drop_in(&format!("{UNIT}.service"), drop_in);
    Some(machine)
}

fn refused(counts: &Counts) -> u64 {
    report(counts.line.trim());
    assert!(counts.answered > 0, "{}", counts.line);
    counts.refused
}

/// Fails without FDSTORE=1.
#[test]
fn a_restart_and_a_kill_refuse_no_client() {
    let Some(machine) = installed() else { return };
    machine.must(&format!("systemctl start {UNIT}"));
    let load = machine.load(ADDRESS, 8, 0);
    machine.must(&format!("systemctl restart {UNIT}"));
    assert_eq!(hello::told(&machine, "generation"), "1");
    let main = machine.main_pid(UNIT);
    machine.must(&format!("kill -KILL {main}"));
    machine.until("it is started again", || {
        let now = machine.main_pid(UNIT);
        now != 0 && now != main && machine.property(UNIT, "SubState") == "running"
    });
    assert_eq!(refused(&load.end()), 0);
    // An address that goes is kept no longer, by a reload or by a start.
    hello::conf(&machine, &[("bind_port", "8081")]);
    machine.must(&format!("systemctl reload {UNIT}"));
    hello::conf(&machine, &[("bind_port", "8082")]);
    machine.must(&format!("systemctl restart {UNIT}"));
    let closed = machine.sh("for port in 8080 8081; do http-client get 127.0.0.1:$port /; done");
    let refusals = closed.err().matches("ConnectionRefused").count();
    assert_eq!(refusals, 2, "{closed}");
    let journal = machine.journal(UNIT);
    assert_eq!(
        journal.matches("closing descriptor").count(),
        1,
        "{journal}"
    );
    machine.get("127.0.0.1:8082", "/");
}

/// Fails when the sockets of a socket unit are not used, or closed at a stop.
#[test]
fn the_sockets_of_a_socket_unit_are_used() {
    let Some(machine) = installed() else { return };
    let path = "/run/swift/hello.sock";
    let file = machine.read("/usr/bin/swift-hello-server");
    let both = file.replace("listen  = [", &format!("listen = [\"unix:{path}\", "));
    machine.program("/usr/bin/swift-hello-server", &both);
    let socket = format!(
        "[Socket]\nListenStream={ADDRESS}\nListenStream={path}\nListenStream=127.0.0.1:8089\nSocketUser=swift\n"
    );
    machine.write(&format!("/etc/systemd/system/{UNIT}.socket"), &socket);
    machine.must(&format!(
        "systemctl daemon-reload; systemctl start {UNIT}.socket"
    ));
    // The first client starts the service.
    assert!(machine.get(ADDRESS, "/").contains("generation=1"));
    let load = machine.load(ADDRESS, 4, 0);
    machine.must(&format!("systemctl restart {UNIT}"));
    machine.must(&format!("systemctl reload {UNIT}"));
    machine.must(&format!("systemctl stop {UNIT}"));
    assert!(
        machine
            .get(&format!("unix:{path}"), "/")
            .contains("text=hello")
    );
    assert_eq!(refused(&load.end()), 0);
    let journal = machine.journal(UNIT);
    assert!(journal.contains("closing descriptor"), "{journal}");
}

/// Kills the main process at random moments, while nothing goes on and in reloads.
#[test]
fn kills_at_random_moments_refuse_no_client() {
    let Some(machine) = installed() else { return };
    machine.must(&format!("systemctl start {UNIT}"));
    let mut random = Random::new();
    let load = machine.load(ADDRESS, 4, 0);
    for round in 0..times(4, 50) {
        let main = machine.main_pid(UNIT);
        if round % 2 == 0 {
            machine.must(&format!("systemctl reload --no-block {UNIT}"));
        }
        thread::sleep(random.duration(PAUSE_MAX));
        machine.must(&format!("kill -KILL {main}"));
        machine.until("there is a manager", || {
            let now = machine.main_pid(UNIT);
            now != 0
                && now != main
                && machine.property(UNIT, "SubState") == "running"
                && machine.sh(&format!("swift-serve --status {now}")).code() == 0
        });
    }
    assert_eq!(refused(&load.end()), 0);
}
