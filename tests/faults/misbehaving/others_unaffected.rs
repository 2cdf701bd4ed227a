//! What is done beside a server that holds things up: all is done at once, so nobody waits for it but
//! those who asked for it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_helpers::LIMIT;

use crate::misbehaving::story::Fixture;

/// A command whose lines are heard while it goes on.
struct Talk {
    child: Child,
    lines: Receiver<String>,
}

impl Talk {
    fn new(command: &mut Command) -> Talk {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be started");
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        Talk { child, lines }
    }

    /// Waits for a line with this in it.
    fn until(&self, wanted: &str) {
        let mut heard = Vec::new();
        while heard
            .last()
            .is_none_or(|line: &String| !line.contains(wanted))
        {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => heard.push(line),
                Err(error) => panic!("no {wanted}: {error}, after {heard:#?}"),
            }
        }
    }

    /// Its exit status, when it ends.
    fn end(mut self) -> Option<i32> {
        while self.lines.recv_timeout(LIMIT).is_ok() {}
        self.child.wait().expect("it is ours").code()
    }
}

/// Kills what goes by that name, of which there is one.
fn kill_one(fixture: &Fixture, name: &str) {
    let alive = fixture.alive();
    let all: Vec<_> = alive.iter().filter(|(_, known)| known == name).collect();
    let [(pid, _)] = all[..] else {
        panic!("not one {name}: {alive:?}");
    };
    kill(Pid::from_raw(*pid), Signal::SIGKILL).expect("it runs");
}

/// Fails when one server after the other is started, or awaited in the order of the configs, as the
/// original does.
#[test]
fn others_become_ready_beside_one_that_does_not() {
    for odd in [
        "ready_after = NEVER",
        "never_close = true",
        "flood = 1000000000000000",
        "hold_output = true",
    ] {
        let mut fixture = Fixture::new(&[""]);
        let never = fixture.fifo("never");
        let odd = odd.replace("NEVER", &never.display().to_string());
        let (up, holds) = (fixture.fifo("up"), fixture.fifo("holds"));
        let lines = format!("{odd}\ntell = {}", holds.display());
        fixture.sandbox.conf("object-server/1.conf", &lines);
        let lines = format!("print = hello\\n\ntell = {}", up.display());
        fixture.sandbox.conf("object-server/2.conf", &lines);
        let start = Talk::new(fixture.tool("swift-init").args(["object", "start"]));
        File::open(&up).expect("it says that it is up");
        start.until("hello");
        if odd == "hold_output = true" {
            File::open(&holds).expect("it says that its child is there");
        }
        kill_one(&fixture, "1");
        assert_eq!(start.end(), Some(1), "{odd}");
        let left = match odd.as_str() {
            "hold_output = true" => "2, sleep",
            _ => "2",
        };
        fixture.play(&format!(
            "
            $ swift-init object status
            object-server running (<2> - etc/object-server/2.conf)
            = 0; {left}
            "
        ));
    }
}

/// Fails when one is awaited before the next is signalled, or when a restart starts nothing before all
/// have ended.
#[test]
fn others_end_and_start_again_beside_one_that_does_not_go() {
    for (command, start) in [("stop", None), ("kill", None), ("restart", Some(()))] {
        let mut fixture = Fixture::new(&["ignore = TERM", ""]);
        fixture.play(
            "
            $ swift-init object start
            Starting object-server...(etc/object-server/1.conf)
            Starting object-server...(etc/object-server/2.conf)
            = 0; 1, 2
            ",
        );
        let up = fixture.fifo("up");
        let lines = format!("tell = {}", up.display());
        fixture.sandbox.conf("object-server/2.conf", &lines);
        let line = ["-k", "3600", "object", command];
        let talk = Talk::new(fixture.tool("swift-init").args(line));
        talk.until("appears to have stopped");
        if start.is_some() {
            File::open(&up).expect("it says that it is up");
        }
        kill_one(&fixture, "1");
        assert_eq!(talk.end(), Some(0), "{command}");
        let left = match start {
            None => "No object-server running\n= 1; nothing",
            Some(()) => {
                "object-server running (<1> - etc/object-server/1.conf)\n\
                 object-server running (<2> - etc/object-server/2.conf)\n= 0; 1, 2"
            }
        };
        fixture.play(&format!("$ swift-init object status\n{left}"));
    }
}

/// Fails when one reload is awaited before the next begins.
#[test]
fn others_are_reloaded_beside_one_that_says_nothing() {
    let mut fixture = Fixture::new(&["reload = silent", ""]);
    fixture.play(
        "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        Starting object-server...(etc/object-server/2.conf)
        = 0; 1, 2
        ",
    );
    let mut line = fixture.command("rows | swift-reload --timeout=3600");
    let reload = Talk::new(&mut line);
    reload.until("reloaded");
    kill_one(&fixture, "1");
    assert_eq!(reload.end(), Some(1));
    fixture.play(
        "
        $ swift-init object status
        object-server running (<2> - etc/object-server/2.conf)
        = 0; 2
        ",
    );
}

/// Fails when the check of one config holds up the reload of another server.
#[test]
fn others_are_reloaded_beside_a_check_that_does_not_end() {
    let mut fixture = Fixture::new(&["", ""]);
    let never = fixture.fifo("never");
    fixture.play(
        "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        Starting object-server...(etc/object-server/2.conf)
        = 0; 1, 2
        ",
    );
    let lines = format!("check_after = {}\ncheck_exit = 1", never.display());
    fixture.sandbox.conf("object-server/1.conf", &lines);
    let mut line = fixture.command("rows | swift-reload --timeout=3600");
    let reload = Talk::new(&mut line);
    reload.until("reloaded");
    // The check comes to its end, and to its verdict.
    drop(
        File::options()
            .write(true)
            .open(never)
            .expect("it is there"),
    );
    assert_eq!(reload.end(), Some(1));
    fixture.play(
        "
        $ swift-init object status
        object-server running (<1> - etc/object-server/1.conf)
        object-server running (<2> - etc/object-server/2.conf)
        = 0; 1, 2
        ",
    );
}
