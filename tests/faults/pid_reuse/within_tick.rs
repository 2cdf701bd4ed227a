//! Within one tick of the clock that a start is told by: field 22 of /proc/PID/stat counts 10 ms, and
//! a server can be started, end and be replaced within one of them. Then the start tells nothing.
//!
//! What is promised then: whoever is not this server with this config is left alone all the same, and
//! so is everybody who has the number after a tool has opened the process. The same server with the
//! same config, started anew in the same tick before the tool begins, cannot be told from the one in
//! the row by anything that there is, and gets the signal that was meant for it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::fixture::{ALL, Fixture, OTHERS, Successor, configured, pairs, row, said};
use super::pid_reuser::Process;
use crate::soak::times;

/// How often it is tried to be quicker than the clock. On a machine where nobody ever is, this fails.
const ATTEMPTS: usize = 10_000;

/// A server, and who replaced it within the tick of its start.
fn within_one_tick(fixture: &mut Fixture, who: Successor) -> (Process, Process) {
    for _ in 0..ATTEMPTS {
        let server = fixture.server();
        fixture.reuser.free(server.pid);
        let successor = fixture.take_now(server.pid, 0, who);
        if successor.start == server.start {
            return (server, successor);
        }
        fixture.reuser.free(successor.pid);
    }
    panic!("no two processes were started within one tick");
}

/// Each of these rounds is one within one tick. The row is the one that swift-pidfile would have
/// written of the server.
///
/// Fails when who has the number and the start is taken for the server without a look at its command
/// line or its config.
#[test]
fn an_equal_start_proves_nothing() {
    let tools = [
        ("swift-signal", &["stop"][..]),
        ("swift-reload", &[]),
        ("swift-pidfile", &["--clean"]),
    ];
    Fixture::rounds(
        times(24, 1000),
        &pairs(&tools, &OTHERS),
        |fixture, &((tool, args), who)| {
            let round = format!("{tool}, {who:?}");
            let (server, successor) = within_one_tick(fixture, who);
            assert_eq!((server.pid, server.start), (successor.pid, successor.start));
            let outcome = fixture.run(tool, args, &row(&server, "running\t-"));
            let wanted = match tool {
                "swift-reload" => "unreloaded vanished",
                _ => "stopped wrong-process",
            };
            assert_eq!(said(&outcome), [wanted], "{round}: {outcome}");
            if tool == "swift-reload" {
                fixture.cleaned(&successor, who, &round);
            }
            fixture.told_truth(&successor, who, &round);
            fixture.unharmed(&successor, &round);
        },
    );
}

/// What can be told of the same server with the same config is that it is the server: it gets the
/// signal, as `swift-signal` was asked to.
///
/// Fails when this changes, and then the text above has to change with it.
#[test]
fn the_same_server_within_one_tick_is_the_server() {
    Fixture::rounds(times(3, 100), &[()], |fixture, ()| {
        let (server, again) = within_one_tick(fixture, Successor::Again);
        let outcome = fixture.run("swift-signal", &["TERM"], &row(&server, "running\t-"));
        assert_eq!(said(&outcome), ["signalled -"], "{outcome}");
        assert_eq!(fixture.reuser.end(again.pid), [format!("{}:15", again.pid)]);
    });
}

/// A tool that is up and waits for rows.
struct Warm {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Warm {
    /// Starts one, and has it pass a row on that is none of its business.
    fn start(fixture: &Fixture, tool: &str, args: &[&str]) -> Warm {
        let mut command = fixture.tool(tool, args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null());
        let mut child = command.spawn().expect("it can be started");
        let mut input = child.stdin.take().expect("its input is a pipe");
        let output = child.stdout.take().expect("its output is a pipe");
        let mut output = BufReader::new(output);
        let passed = configured().replace("configured\t-", "stopped\tabsent");
        input.write_all(passed.as_bytes()).expect("it reads");
        let mut line = String::new();
        output.read_line(&mut line).expect("lines of text");
        assert_eq!(line, passed);
        Warm {
            child,
            input,
            output,
        }
    }

    /// The rows that it writes until its end, and its exit status.
    fn finish(mut self) -> (String, Option<i32>) {
        drop(self.input);
        let mut rows = String::new();
        self.output
            .read_to_string(&mut rows)
            .expect("lines of text");
        (rows, self.child.wait().expect("it is ours").code())
    }
}

/// The server is started, opened and proven by a tool, and replaced, all of it within one tick. Each
/// attempt that took longer is a round as well, and only not counted.
///
/// Fails when the signal is sent to a number: for `Again`, neither a command line nor a start tells
/// that it is the wrong one, and only the pidfd does.
#[test]
fn a_pidfd_detects_pid_reuse_within_one_tick() {
    let tools = [
        ("swift-signal", &["stop"][..], "process-opened"),
        ("swift-signal", &["stop"], "proven"),
        ("swift-signal", &["--children", "HUP"], "child-opened"),
        ("swift-reload", &["--no-check"], "process-opened"),
        ("swift-reload", &["--no-check"], "proven"),
    ];
    Fixture::rounds(
        times(25, 1000),
        &pairs(&tools, &ALL),
        |fixture, &((tool, args, point), who)| {
            let round = format!("{tool}, {point}, {who:?}");
            let one = |fixture: &mut Fixture| {
                let pause = fixture.points.pause_at(&format!("{tool}:{point}"));
                let mut warm = Warm::start(fixture, tool, args);
                let workers = usize::from(point == "child-opened");
                let server = fixture.server_with(workers);
                let rows = row(&server, "running\t-");
                warm.input.write_all(rows.as_bytes()).expect("it reads");
                pause.reached();
                fixture.reuser.free(server.pid);
                let successor = fixture.take_now(server.pid, workers, who);
                drop(pause);
                let (rows, exit) = warm.finish();
                let (state, code) = match (tool, point) {
                    ("swift-reload", _) => ("unreloaded vanished", 1),
                    (_, "process-opened") if who != Successor::Again => {
                        ("stopped wrong-process", 0)
                    }
                    _ => ("stopped stale", 0),
                };
                assert!(
                    rows.ends_with(&format!("\t{}\n", state.replace(' ', "\t"))),
                    "{round}: {rows}"
                );
                assert_eq!(exit, Some(code), "{round}");
                if tool == "swift-reload" {
                    fixture.cleaned(&successor, who, &round);
                }
                fixture.told_truth(&successor, who, &round);
                fixture.unharmed(&successor, &round);
                successor.start == server.start
            };
            let quick = (0..ATTEMPTS).any(|_| one(fixture));
            assert!(quick, "{round}: never within one tick");
        },
    );
}
