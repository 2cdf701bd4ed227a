//! Tools that cannot do their job, or whose servers or readers go in the middle of it.

use std::fs;
use std::thread;

use test_helpers::{run, tools_dir};

use super::fixture::{Before::*, Scene};

/// A swift-pidfile that cannot read its input has written no row, or some, and says so by its exit
/// status. Fails when that is 1, as after a failure that is a row: then swift-init goes on with the rows
/// that it has, says nothing of the others, and a restart exits 1 without a word of its own.
#[test]
fn a_failing_observer_causes_no_action() {
    let scene = Scene::new();
    scene.set(Up);
    let had = scene.processes.servers();
    let own = scene.sandbox.path("own");
    fs::create_dir(&own).expect("the sandbox is ours");
    scene.copy(&tools_dir().join("swift-init"), &own.join("swift-init"));
    for (tool, input) in [("swift-pidfile", "<."), ("swift-check-config", "<.")] {
        let script = own.join(tool);
        // A directory can be opened, and not read.
        let real = tools_dir().join(tool);
        let text = format!("#!/bin/sh\nexec {} \"$@\" {input}\n", real.display());
        scene.script(&script, &text);
        for command in ["status", "stop", "restart"] {
            if tool == "swift-check-config" && command != "restart" {
                continue;
            }
            let line = format!("{}/swift-init ALL {command}", own.display());
            let outcome = run(&mut scene.command(&line));
            assert_eq!(
                (outcome.code(), outcome.out().as_str()),
                (1, ""),
                "{line}: {outcome}"
            );
            let wanted = format!(
                "{tool}: cannot read standard input: Is a directory\nswift-init: {tool} exited with 3\n\
                 swift-init: cannot determine what is running; no action taken\n"
            );
            assert_eq!(outcome.err(), wanted, "{line}");
            assert_eq!(scene.processes.servers(), had, "{line}: {outcome}");
        }
        fs::remove_file(&script).expect("it is ours");
    }
    scene.aftermath("tools that cannot observe");
}

/// Fails when an error of the output ends swift-signal: then it leaves at the first server that has
/// ended, and the others keep their pid files.
#[test]
fn an_output_that_cannot_be_written_stops_no_actor_midway() {
    let scene = Scene::new();
    scene.set(Up);
    let reload = "swift-resolve-servers object-server | swift-pidfile | swift-reload >/dev/full";
    let signal = "swift-resolve-servers ALL | swift-pidfile | swift-signal stop >/dev/full";
    for (tool, line) in [("swift-reload", reload), ("swift-signal", signal)] {
        let outcome = run(&mut scene.command(line));
        let wanted = format!("{tool}: cannot write standard output: No space left on device\n");
        assert_eq!((outcome.code(), outcome.err()), (1, wanted), "{line}");
    }
    assert_eq!(scene.processes.servers().len(), 0);
    assert_eq!(scene.processes.pid_files().len(), 0);
    scene.aftermath("an output that is full");
}

/// A manager that goes while its workers are looked for has not been denied, and none of its workers
/// was signalled. Fails when what has ended counts as a manager without workers: its row is signalled then.
#[test]
fn a_manager_that_goes_meanwhile_is_stopped() {
    let scene = Scene::new();
    for point in ["swift-signal:children-asked", "swift-signal:child-opened"] {
        scene.set(Workers);
        let servers = scene.processes.servers();
        let manager = servers
            .iter()
            .find(|(one, _)| one.1.ends_with("/1.conf") && one.0 == "object-server");
        let manager = scene.processes.of(manager.expect("it runs").1[0]);
        let line = "swift-resolve-servers object-server.1 | swift-pidfile |
            swift-signal --children HUP";
        let outcome = thread::scope(|scope| {
            let pause = scene.points.pause_at(point);
            let command = scope.spawn(|| run(&mut scene.command(line)));
            pause.reached();
            scene.processes.kill(&manager);
            drop(pause);
            command.join().expect("it ends in time")
        });
        let rows = outcome.rows();
        let told: Vec<&str> = rows
            .iter()
            .flat_map(|row| &row[5..])
            .map(String::as_str)
            .collect();
        assert_eq!(told, ["stopped", "stale"], "{point}: {outcome}");
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (0, ""),
            "{point}: {outcome}"
        );
        scene.aftermath(point);
    }
}
