//! no-daemon: swift-init stays, and its end is the servers' end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use test_helpers::lab::{Lab, Process};

use test_helpers::http;

use crate::PATIENCE;

/// Starts the proxy with no-daemon, sends swift-init a signal once the proxy answers, and gives what
/// swift-init then did: its exit status and its output.
fn signalled(signal: &str) -> (Option<i32>, String) {
    let lab = Lab::new();
    let mut command = lab.command("swift-init");
    command.args(["proxy-server", "no-daemon"]);
    let output = lab.etc().join("output");
    let file = std::fs::File::create(&output).expect("it can be written");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("it can be shared"))
        .stderr(file)
        .spawn()
        .expect("swift-init can be run");
    let pid = child.id();
    let swift_init = Process::open(pid as i32).expect("it was not waited for");

    // A server without a terminal's end of file tells nobody that it is ready; only trying does.
    let end = Instant::now() + PATIENCE;
    while !http::listens(&lab) {
        assert!(Instant::now() < end, "the proxy does not answer");
        assert!(swift_init.runs(), "swift-init went");
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status();
    assert!(kill.expect("kill can be run").success());
    assert!(swift_init.ends_within(PATIENCE), "it stays after {signal}");
    let status = child.wait().expect("it ended");
    assert_eq!(lab.processes(), [], "left behind after {signal}");
    let output = std::fs::read(output).expect("it can be read");
    (status.code(), String::from_utf8_lossy(&output).into_owned())
}

#[test]
fn an_interrupt_stops_the_servers() {
    let (code, output) = signalled("INT");
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("\nuser quit\n"), "{output}");
}

#[test]
fn a_termination_stops_the_servers() {
    signalled("TERM");
}
