//! Killed at whichever step the dice say, and while servers are still starting.

use std::fs;
use std::io::Write as _;
use std::thread;

use test_helpers::run;

use super::fixture::{
    Before::{self, *},
    Scene,
};
use crate::soak::times;

/// Points that are met more than once in a command, and what is done then.
const POINTS: &[&str] = &[
    "swift-init:row-submitted",
    "swift-init:row-received",
    "swift-spawn:found",
    "swift-spawn:locked",
    "swift-spawn:executed",
    "swift-spawn:output-ended",
    "swift-signal:signalled",
    "swift-signal:removed",
    "swift-pidfile:process-classified",
    "swift-pidfile:pid-file-read",
    "swift-check-config:checked",
    "swift-reload:signalled",
    "swift-reload:answered",
];
const BEFORE: &[Before] = &[Down, Up, Half, Lies];
const COMMANDS: &[&str] = &[
    "start",
    "stop",
    "restart",
    "reload",
    "reload-seamless",
    "kill",
    "no-wait",
    "once",
    "shutdown",
];

/// Numbers that look like chance and are the same in each run, so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// One of the tools dies when the Nth of its kind comes by a point. Fails, within fifty rounds, when
/// swift-spawn itself writes the pid file after the server has executed.
#[test]
fn killed_at_any_event_it_is_repaired() {
    let scene = Scene::new();
    let mut dice = Dice(20_260_101);
    for round in 0..times(10, 1000) {
        let point = POINTS[dice.below(POINTS.len())];
        let before = BEFORE[dice.below(BEFORE.len())];
        let command = COMMANDS[dice.below(COMMANDS.len())];
        let passing = dice.below(6);
        let what = format!("round {round}: {point} after {passing}: {before:?}: {command}");
        scene.set(before);
        scene.points.kill_after(point, passing);
        scene.init(command);
        // It may not have come so far.
        scene.points.is_left(point);
        scene.aftermath(&what);
    }
}

/// swift-spawn killed while two servers start. The one that prints something afterwards has no reader
/// any more and dies of SIGPIPE, as swift-spawn(1) says; the one that prints nothing comes up. Both
/// had their pid files, and the next commands see what is there. Fails when swift-spawn itself writes a pid
/// file once it has let go of the lock.
#[test]
fn servers_that_start_outlive_swift_spawn_unless_they_print() {
    let scene = Scene::new();
    for _ in 0..times(1, 50) {
        let [gate, up] = ["gate", "up"].map(|name| {
            let path = scene.sandbox.path(name);
            let _ = fs::remove_file(&path);
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo can be made");
            path
        });
        scene.set(Down);
        let settings = format!("ready_after = {}\ntell = {}", gate.display(), up.display());
        scene.sandbox.conf("object-server/1.conf", &settings);
        let script = scene.sandbox.path("bin/swift-object-replicator");
        let _ = fs::remove_file(&script);
        let text = format!(
            "#!/bin/sh\nread word <{}\necho loud\nread word <{0}\n",
            gate.display()
        );
        scene.script(&script, &text);

        let line = "swift-resolve-servers object-server.1 object-replicator.1 | swift-pidfile |
            swift-spawn";
        thread::scope(|scope| {
            let pause = scene.points.pause_at("swift-spawn:unlocked");
            let command = scope.spawn(|| run(&mut scene.command(line)));
            pause.reached();
            pause.go();
            let spawn = scene.processes.of(pause.reached());
            scene.processes.kill(&spawn);
            drop(pause);
            command.join().expect("it ends in time")
        });
        scene.processes.until_no_tool_runs();
        let servers = scene.processes.servers();
        assert_eq!(servers.len(), 2, "both have been started: {servers:?}");
        assert_eq!(scene.processes.complaint(true), None);
        let loud = servers.iter().find(|(one, _)| one.0 == "object-replicator");
        let loud = scene.processes.of(loud.expect("it runs").1[0]);
        // Whoever opens the gate lets both go on.
        let open = fs::File::options().read(true).write(true).open(&gate);
        let mut open = open.expect("the fifo is ours");
        open.write_all(b"on\n").expect("it can be written");
        scene.processes.until_gone(&loud);
        fs::read(&up).expect("the other one is up");
        drop(open);
        let left: Vec<String> = scene
            .processes
            .servers()
            .into_keys()
            .map(|one| one.0)
            .collect();
        assert_eq!(left, ["object-server"]);
        scene.reinstall("object-replicator");
        scene.aftermath("swift-spawn killed while servers start");
    }
}
