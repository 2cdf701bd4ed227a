//! Daemons: one pass, and a seamless reload that they do not know.

use test_helpers::lab::Lab;

/// What an auditor leaves behind when it has been through the disks.
const REPORT: &str = "../cache/object.recon";

#[test]
fn swift_init_runs_a_daemon_once() {
    let lab = Lab::new();
    let outcome = lab.must("swift-init object-auditor once");
    let line = "Running object-auditor once...(/etc/swift/object-server.conf)\n";
    assert!(outcome.out().contains(line), "{outcome}");
    assert_ran_once(&lab);
}

#[test]
fn a_pipeline_runs_a_daemon_once() {
    let lab = Lab::new();
    let outcome = lab
        .must("swift-resolve-servers object-auditor | swift-pidfile --clean | swift-spawn --once");
    outcome.assert_states(&["object-auditor"], "finished");
    assert_ran_once(&lab);
}

/// All daemons that Swift has come up with their config, and every one is found and stopped again.
#[test]
fn swift_init_starts_and_stops_all_daemons() {
    let lab = Lab::new();
    lab.must("swift-init rest start");
    let status = lab.must("swift-init rest status").out();
    assert_eq!(status.matches(" running (").count(), 14, "{status}");

    let auditor = lab.server("object-auditor");
    lab.must("swift-init object-auditor reload-seamless");
    assert!(!auditor.runs(), "a daemon is restarted");
    assert!(lab.server("object-auditor").runs(), "and not just stopped");

    lab.must("swift-init rest stop");
    assert_eq!(lab.processes(), []);
}

fn assert_ran_once(lab: &Lab) {
    let report = lab.pid_file("object-auditor").with_file_name(REPORT);
    assert!(report.exists(), "the auditor went through the disks");
    assert_eq!(lab.processes(), [], "it ended by itself");
}
