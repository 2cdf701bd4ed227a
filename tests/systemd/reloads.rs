//! Reload after reload, under clients that never pause.

use test_helpers::systemd::Machine;

use crate::hello;

/// So many times in `make test`, and so many in `make test-systemd`.
pub fn times(short: usize, long: usize) -> usize {
    if std::env::var_os("SWIFT_SOAK").is_some() {
        long
    } else {
        short
    }
}

/// Reloads a unit under clients that never pause, each with a new connection for each request. Nothing is
/// refused, no more than `closed` are closed without an answer, the process stays the same, and the journal
/// has no warning.
fn reloads_lose_nothing(
    machine: &Machine,
    unit: &str,
    (address, path): (&str, &str),
    reloads: usize,
    closed: u64,
) {
    let pid = machine.main_pid(unit);
    let load = machine.load_path(address, path, 16, 0);
    for number in 1..=reloads {
        let outcome = machine.sh(&format!("systemctl reload {unit}"));
        let states = || machine.states();
        assert_eq!(
            outcome.code(),
            0,
            "reload {number}: {outcome}\n{}",
            states()
        );
    }
    let counts = load.end();
    test_helpers::report(&format!(
        "systemd {}, {unit}: {reloads} reloads: {}",
        machine.version(),
        counts.line.trim()
    ));
    assert!(counts.answered > 0, "{}", counts.line);
    assert_eq!(counts.lost() - counts.reset, 0, "{}", counts.line);
    assert!(counts.reset + counts.raced <= closed, "{}", counts.line);
    assert_eq!(machine.main_pid(unit), pid);
    let line = format!("journalctl -q -p warning -u {unit}");
    assert_eq!(machine.must(&line).out(), "", "the journal warns");
}

#[test]
fn reloads_of_swift_serve_lose_nothing() {
    let Some(machine) = Machine::boot() else {
        return;
    };
    hello::install(&machine, &[]);
    machine.must(&format!("systemctl start {}", hello::UNIT));
    let reloads = times(5, 100);
    reloads_lose_nothing(&machine, hello::UNIT, (hello::ADDRESS, "/"), reloads, 0);
    let generation = hello::told(&machine, "generation");
    assert_eq!(generation, (reloads + 1).to_string());
}

/// Linux has to hand connections that wait at a closed socket over to the next one for that. An old worker
/// of eventlet closes what it has accepted and not begun to read, which is one request in many reloads, see
/// swift-reload(1). So a hundred reloads may lose five requests, and two reloads, too few to tell how often,
/// one each.
#[test]
fn reloads_of_a_real_proxy_lose_nothing() {
    let Some((machine, address)) = Machine::boot_with_swift() else {
        return;
    };
    machine.must("echo 1 >/proc/sys/net/ipv4/tcp_migrate_req");
    machine.must("install -d -o swift -g swift /run/swift");
    let unit = "swift@proxy";
    machine.must(&format!("systemctl start {unit}"));
    let reloads = times(2, 100);
    let closed = if reloads < 20 { reloads } else { reloads / 20 } as u64;
    let target = (address.as_str(), "/healthcheck");
    reloads_lose_nothing(&machine, unit, target, reloads, closed);
}
