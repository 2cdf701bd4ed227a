//! A server under swift-serve as `swift-serve@hello`: the verdict of a reload, death in the midst of one,
//! and the time that systemd gives.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use test_helpers::systemd::Machine;

use crate::hello::{self, ADDRESS, UNIT};

/// Where the fault points look for what happens at them. There are none without the feature.
const FAULTS: &str = "/run/faults";

/// The points that a reload meets, each with its program, up to the last at which the manager's standby
/// serves on.
const KEPT: &[&str] = &[
    "swift-serve:announced",
    "swift-serve:check-done",
    "swift-serve:before-exec",
    "swift-serve:after-exec",
    "swift-serve:state-read",
    "swift-serve:bound",
    "swift-serve:workers-started",
    "swift-serve:workers-ready",
    "swift-serve:before-release",
];

/// All others.
const RESTARTED: &[&str] = &[
    "swift-serve:reload-begun",
    "swift-serve:before-fork",
    "swift-serve:after-fork",
    "swift-serve:after-release",
    "swift-serve:done",
];

/// The points of swift-reload, whose death harms nothing.
const RELOADERS: &[&str] = &["bound", "checked", "proven", "signalled", "answered"];

fn is_long() -> bool {
    std::env::var_os("SWIFT_SOAK").is_some()
}

/// The unit, started, with these lines of a drop-in in its section Service.
pub fn started(lines: &str) -> Option<Machine> {
    let machine = Machine::boot()?;
    hello::install(&machine, &[]);
    machine.must(&format!("mkdir -p {FAULTS} && chmod 777 {FAULTS}"));
    machine.drop_in(
        &format!("{UNIT}.service"),
        &format!("[Service]\nEnvironment=SWIFT_FAULTS={FAULTS}\nReadWritePaths={FAULTS}\n{lines}"),
    );
    machine.must(&format!("systemctl start {UNIT}"));
    Some(machine)
}

/// Messages of all units and of systemd itself that warn, without their times.
fn warnings(machine: &Machine) -> String {
    machine
        .must("journalctl --sync; journalctl -q -b -o cat -p warning")
        .out()
}

/// The unit answers, and no reload goes on.
pub fn is_at_rest(machine: &Machine) -> bool {
    let answers = || machine.sh(&format!("http-client get {ADDRESS} /")).code() == 0;
    machine.property(UNIT, "SubState") == "running" && answers()
}

#[test]
fn a_reload_that_went_well_warns_of_nothing() {
    let Some(machine) = started("") else { return };
    let pid = machine.main_pid(UNIT);
    hello::conf(&machine, &[("text", "new")]);
    machine.must(&format!("systemctl reload {UNIT}"));
    assert_eq!(hello::told(&machine, "text"), "new");
    // Its standby has an address to drain, and lives longer.
    hello::conf(&machine, &[("bind_port", "8081")]);
    machine.must(&format!("systemctl reload {UNIT}"));
    hello::conf(&machine, &[("text", "by-hand")]);
    machine.must(&format!("swift-reload {pid}"));
    assert_eq!(hello::told(&machine, "text"), "by-hand");
    let serve = machine.must(&format!("swift-serve --status {pid}"));
    machine.until(&format!("the standbys are gone: {serve}"), || {
        !machine
            .must(&format!("swift-serve --status {pid}"))
            .out()
            .contains("standby")
    });
    machine.until("it is at rest", || is_at_rest(&machine));
    assert_eq!(machine.main_pid(UNIT), pid);
    machine.must(&format!("systemctl stop {UNIT}"));
    assert_eq!(machine.property(UNIT, "Result"), "success");
    assert_eq!(warnings(&machine), "");
}

#[test]
fn a_refused_reload_fails_and_says_why() {
    let Some(machine) = started("") else { return };
    let pid = machine.main_pid(UNIT);
    let refused = |changes: &[(&str, &str)], why: &str| {
        hello::conf(&machine, changes);
        let outcome = machine.sh(&format!("systemctl reload {UNIT}"));
        assert_eq!(outcome.code(), 1, "{outcome}");
        let status = machine.property(UNIT, "StatusText");
        assert!(status.contains(why), "{status}");
        assert!(machine.journal(UNIT).contains(why), "{}", machine.states());
        assert_eq!(machine.property(UNIT, "SubState"), "running");
        assert_eq!(machine.main_pid(UNIT), pid);
        assert_eq!(hello::told(&machine, "generation"), "1");
    };
    // The check finds the one, the worker the other.
    refused(&[("bind_port", "nonsense")], "no address");
    refused(&[("behaviour", "fail")], "exited with status");
    hello::conf(&machine, &[]);
    machine.must(&format!("systemctl reload {UNIT}"));
    let status = machine.property(UNIT, "StatusText");
    assert!(status.contains("serves with 2 workers"), "{status}");
}

#[test]
fn what_fails_has_the_priority_err() {
    let Some(machine) = started("") else { return };
    let errors = || {
        let line = format!("journalctl --sync; journalctl -q -b -o cat -p err -u {UNIT}");
        machine.must(&line).out()
    };
    assert_eq!(errors(), "");
    hello::conf(&machine, &[("bind_port", "nonsense")]);
    assert_eq!(machine.sh(&format!("systemctl reload {UNIT}")).code(), 1);
    let told = errors();
    assert!(told.contains("no address"), "{told}");
    assert!(told.contains("Failed to validate config"), "{told}");
    assert_eq!(machine.sh(&format!("systemctl restart {UNIT}")).code(), 1);
    let told = errors();
    assert!(told.contains("swift-serve: "), "{told}");
    assert!(!told.contains("<3>"), "{told}");
}

/// Without a timeout of systemd's, a unit that waits for a word of the dead waits for ever.
#[test]
fn whatever_is_killed_in_a_reload_the_unit_is_back() {
    let lines = "TimeoutStartSec=infinity\nRestartSec=100ms\n";
    let Some(machine) = started(lines) else {
        return;
    };
    for point in KEPT.iter().chain(RESTARTED) {
        let before = machine.main_pid(UNIT);
        let restarts = machine.property(UNIT, "NRestarts");
        machine.write(&format!("{FAULTS}/{point}"), "");
        machine.sh(&format!("systemctl reload {UNIT}"));
        let plan = machine.path(&format!("{FAULTS}/{point}"));
        machine.until(&format!("{point} is met"), || !plan.exists());
        machine.until(&format!("{point}: it is back"), || {
            machine.main_pid(UNIT) != before && is_at_rest(&machine)
        });
        if KEPT.contains(point) {
            assert_eq!(machine.property(UNIT, "NRestarts"), restarts, "{point}");
        }
    }
    for point in RELOADERS {
        let before = machine.main_pid(UNIT);
        machine.write(&format!("{FAULTS}/swift-reload:{point}"), "");
        let outcome = machine.sh(&format!("systemctl reload {UNIT}"));
        assert_eq!(outcome.code(), 1, "{point}: {outcome}");
        machine.until(&format!("{point}: it is at rest"), || is_at_rest(&machine));
        assert_eq!(machine.main_pid(UNIT), before, "{point}");
    }
    machine.must(&format!("systemctl reload {UNIT}"));
}

/// A reload that has stopped at a point.
struct Paused<'a> {
    machine: &'a Machine,
    place: String,
}

impl Paused<'_> {
    /// Begins a reload and waits until it is at that point.
    fn at<'a>(machine: &'a Machine, point: &str) -> Paused<'a> {
        let place = format!("{FAULTS}/{point}");
        machine.must(&format!("mkfifo -m 666 {place} {place}.go"));
        machine.must(&format!("systemctl reload --no-block {UNIT}"));
        machine.must(&format!("cat {place}"));
        Paused { machine, place }
    }

    /// Lets it go on.
    fn go(self) {
        let Paused { machine, place } = self;
        machine.must(&format!("echo >{place}.go; rm {place} {place}.go"));
    }
}

/// The standby is the main process then, and systemd runs swift-reload: either of them is killed.
#[test]
fn a_standby_and_a_reloader_that_are_killed() {
    let lines = "TimeoutStartSec=infinity\nRestartSec=100ms\n";
    let Some(machine) = started(lines) else {
        return;
    };
    let points = if is_long() { KEPT } else { &KEPT[5..6] };
    for point in points {
        for property in ["MainPID", "ControlPID"] {
            let paused = Paused::at(&machine, point);
            // That the standby is the main process is said, and may not be heard yet.
            let pid = machine.property(UNIT, property);
            machine.must(&format!("kill -KILL {pid}"));
            paused.go();
            machine.until(&format!("{point}, {property} {pid}: it is back"), || {
                machine.property(UNIT, "MainPID") != pid && is_at_rest(&machine)
            });
            machine.must(&format!("systemctl reload {UNIT}"));
        }
    }
}

/// A request that is answered when it is let go.
struct Slow {
    client: Child,
    fifo: File,
}

impl Slow {
    /// Sends it, and waits until a worker is at it.
    fn begin(machine: &Machine) -> Slow {
        machine.must("mkfifo -m 666 /run/slow");
        let mut client = machine.command("http-client");
        client.args(["get", ADDRESS, "/slow?/run/slow"]);
        let client = client.stdout(Stdio::piped()).spawn();
        let fifo = OpenOptions::new()
            .write(true)
            .open(machine.path("/run/slow"));
        Slow {
            client: client.expect("the client can be run"),
            fifo: fifo.expect("a fifo can be opened"),
        }
    }

    /// Lets it go: its answer arrives whole.
    fn finish(mut self) {
        self.fifo
            .write_all(b"late but whole\n")
            .expect("it is read");
        drop(self.fifo);
        let mut answer = String::new();
        let mut out = self.client.stdout.take().expect("it is a pipe");
        out.read_to_string(&mut answer).expect("it can be read");
        self.client.wait().expect("it ends");
        assert_eq!(answer, "late but whole\n");
    }
}

/// Fails when the order to stop reaches the standby alone, which was the main process: systemd kills all
/// others when that has ended.
#[test]
fn a_stop_in_a_reload_lets_a_request_finish() {
    let Some(machine) = started("") else { return };
    let slow = Slow::begin(&machine);
    let paused = Paused::at(&machine, "swift-serve:bound");
    machine.must(&format!("systemctl stop --no-block {UNIT}"));
    paused.go();
    machine.until("it stops", || {
        machine.property(UNIT, "StatusText").starts_with("stopping")
    });
    slow.finish();
    machine.until_property(UNIT, "ActiveState", "inactive");
    assert_eq!(machine.property(UNIT, "Result"), "success");
    assert_eq!(machine.property(UNIT, "NRestarts"), "0");
}

/// A time of the unit that is shorter than those of the server, and long enough for its first words.
const SHORT: Duration = Duration::from_secs(3);

/// Fails without EXTEND_TIMEOUT_USEC=.
#[test]
fn no_timeout_of_systemd_cuts_short_what_the_server_allows() {
    let seconds = SHORT.as_secs();
    let lines = format!("TimeoutStartSec={seconds}\nTimeoutStopSec={seconds}\n");
    let Some(machine) = started(&lines) else {
        return;
    };
    machine.must(&format!("systemctl stop {UNIT}"));
    let file = machine.read("/usr/bin/swift-hello-server") + "stop_timeout = 600\n";
    machine.program("/usr/bin/swift-hello-server", &file);
    if is_long() {
        start_and_reload_slowly(&machine);
    } else {
        machine.must(&format!("systemctl start {UNIT}"));
    }
    let slow = Slow::begin(&machine);
    machine.must(&format!("systemctl stop --no-block {UNIT}"));
    thread::sleep(2 * SHORT);
    assert_eq!(machine.property(UNIT, "ActiveState"), "deactivating");
    slow.finish();
    machine.until_property(UNIT, "ActiveState", "inactive");
    assert_eq!(machine.property(UNIT, "Result"), "success");
    assert_eq!(warnings(&machine), "");
}

/// Starts it and reloads it, either longer than systemd's own timeout.
fn start_and_reload_slowly(machine: &Machine) {
    // Its worker waits at the gate before it is ready.
    machine.must("mkfifo -m 666 /run/gate");
    hello::conf(machine, &[("gate", "/run/gate"), ("workers", "1")]);
    for (verb, state) in [("start", "activating"), ("reload", "reloading")] {
        machine.must(&format!("systemctl {verb} --no-block {UNIT}"));
        machine.until_property(UNIT, "ActiveState", state);
        machine.until("its worker is awaited", || {
            let status = machine.property(UNIT, "StatusText");
            status.contains("awaiting 1 workers")
        });
        thread::sleep(2 * SHORT);
        assert_eq!(machine.property(UNIT, "ActiveState"), state);
        machine.must("echo >/run/gate");
        machine.until_property(UNIT, "SubState", "running");
    }
    assert_eq!(hello::told(machine, "generation"), "2");
}
