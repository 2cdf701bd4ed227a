//! Within one tick of the clock that a start is told by: field 22 of /proc/PID/stat counts 10 ms, and
//! a server can be started, end and be replaced within one of them. Then the start tells nothing.
//!
//! What is promised then: whoever is not this server with this config is left alone all the same, and
//! so is everybody who has the number after a tool has opened the process. The same server with the
//! same config, started anew in the same tick before the tool begins, cannot be told from the one in
//! the row by anything that there is, and gets the signal that was meant for it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::stage::{ALL, OTHERS, Stage, Who, configured, pairs, row, said};
use super::thief::Process;
use crate::soak::times;

/// How often it is tried to be quicker than the clock. On a machine where nobody ever is, this fails.
const ATTEMPTS: usize = 10_000;

/// A server, and who replaced it within the tick of its start.
fn within_one_tick(stage: &mut Stage, who: Who) -> (Process, Process) {
    for _ in 0..ATTEMPTS {
        let server = stage.server();
        stage.thief.free(server.pid);
        let thief = stage.take_now(server.pid, 0, who);
        if thief.start == server.start {
            return (server, thief);
        }
        stage.thief.free(thief.pid);
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
    Stage::rounds(
        times(24, 1000),
        &pairs(&tools, &OTHERS),
        |stage, &((tool, args), who)| {
            let round = format!("{tool}, {who:?}");
            let (server, thief) = within_one_tick(stage, who);
            assert_eq!((server.pid, server.start), (thief.pid, thief.start));
            let outcome = stage.run(tool, args, &row(&server, "running\t-"));
            let wanted = match tool {
                "swift-reload" => "unreloaded vanished",
                _ => "stopped wrong-process",
            };
            assert_eq!(said(&outcome), [wanted], "{round}: {outcome}");
            if tool == "swift-reload" {
                stage.cleaned(&thief, who, &round);
            }
            stage.told_truth(&thief, who, &round);
            stage.unharmed(&thief, &round);
        },
    );
}

/// What can be told of the same server with the same config is that it is the server: it gets the
/// signal, as `swift-signal` was asked to.
///
/// Fails when this changes, and then the text above has to change with it.
#[test]
fn the_same_server_within_one_tick_is_the_server() {
    Stage::rounds(times(3, 100), &[()], |stage, ()| {
        let (server, again) = within_one_tick(stage, Who::Again);
        let outcome = stage.run("swift-signal", &["TERM"], &row(&server, "running\t-"));
        assert_eq!(said(&outcome), ["signalled -"], "{outcome}");
        assert_eq!(stage.thief.end(again.pid), [format!("{}:15", again.pid)]);
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
    fn start(stage: &Stage, tool: &str, args: &[&str]) -> Warm {
        let mut command = stage.tool(tool, args);
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
fn a_pidfd_tells_what_no_start_can() {
    let tools = [
        ("swift-signal", &["stop"][..], "process-opened"),
        ("swift-signal", &["stop"], "proven"),
        ("swift-signal", &["--children", "HUP"], "child-opened"),
        ("swift-reload", &["--no-check"], "process-opened"),
        ("swift-reload", &["--no-check"], "proven"),
    ];
    Stage::rounds(
        times(25, 1000),
        &pairs(&tools, &ALL),
        |stage, &((tool, args, point), who)| {
            let round = format!("{tool}, {point}, {who:?}");
            let one = |stage: &mut Stage| {
                let pause = stage.points.pause_at(&format!("{tool}:{point}"));
                let mut warm = Warm::start(stage, tool, args);
                let workers = usize::from(point == "child-opened");
                let server = stage.server_with(workers);
                let rows = row(&server, "running\t-");
                warm.input.write_all(rows.as_bytes()).expect("it reads");
                pause.reached();
                stage.thief.free(server.pid);
                let thief = stage.take_now(server.pid, workers, who);
                drop(pause);
                let (rows, exit) = warm.finish();
                let (state, code) = match (tool, point) {
                    ("swift-reload", _) => ("unreloaded vanished", 1),
                    (_, "process-opened") if who != Who::Again => ("stopped wrong-process", 0),
                    _ => ("stopped stale", 0),
                };
                assert!(
                    rows.ends_with(&format!("\t{}\n", state.replace(' ', "\t"))),
                    "{round}: {rows}"
                );
                assert_eq!(exit, Some(code), "{round}");
                if tool == "swift-reload" {
                    stage.cleaned(&thief, who, &round);
                }
                stage.told_truth(&thief, who, &round);
                stage.unharmed(&thief, &round);
                thief.start == server.start
            };
            let quick = (0..ATTEMPTS).any(|_| one(stage));
            assert!(quick, "{round}: never within one tick");
        },
    );
}
