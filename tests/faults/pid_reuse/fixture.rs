//! One namespace, in which a server dies and its number goes to another process, again and again.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use test_helpers::{LIMIT, Outcome, Sandbox, run_with};

use super::pid_reuser::{PidReuser, Process};
use crate::failpoints::{Pause, Points};

/// The config of the server that dies.
pub const CONFIG: &str = "/etc/swift/object-server/1.conf";
/// Its pid file.
pub const PID_FILE: &str = "/run/swift/object-server/1.pid";

/// Successor takes the number over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// Somebody who has nothing to do with it.
    Unrelated,
    /// Somebody who reads the server's log.
    Reader,
    /// Somebody who edits the server's config.
    Editor,
    /// The same server with another config, which has a pid file of its own.
    Other,
    /// The same without one.
    Untracked,
    /// The same server with the same config, started anew.
    Again,
}

/// Everybody who is not the server.
pub const OTHERS: [Successor; 4] = [
    Successor::Unrelated,
    Successor::Reader,
    Successor::Editor,
    Successor::Other,
];
/// Everybody.
pub const ALL: [Successor; 5] = [
    Successor::Unrelated,
    Successor::Reader,
    Successor::Editor,
    Successor::Other,
    Successor::Again,
];

/// Every pair of one thing and somebody.
pub fn pairs<T: Copy>(things: &[T], everybody: &[Successor]) -> Vec<(T, Successor)> {
    let with = |thing: &T| {
        everybody
            .iter()
            .map(|who| (*thing, *who))
            .collect::<Vec<_>>()
    };
    things.iter().flat_map(with).collect()
}

impl Successor {
    /// The command line.
    pub fn line(self) -> &'static [&'static str] {
        match self {
            Successor::Unrelated => &["sleep", "1000"],
            Successor::Reader => &["tail", "-f", "/run/swift/object-server.log"],
            Successor::Editor => &["vim", CONFIG],
            Successor::Other | Successor::Untracked => {
                &["swift-object-server", "/etc/swift/object-server/2.conf"]
            }
            Successor::Again => &["swift-object-server", CONFIG],
        }
    }

    /// What a look at the number says: whose it is, or that its server is gone.
    pub fn seen(self) -> &'static str {
        match self {
            Successor::Again => "stopped stale",
            _ => "stopped wrong-process",
        }
    }
}

/// A tool with its arguments.
pub type Gap = (&'static str, &'static [&'static str]);

/// Where it happens.
pub struct Fixture {
    pub sandbox: Sandbox,
    pub points: Points,
    pub reuser: PidReuser,
}

impl Fixture {
    /// A namespace with two configs of the object server. None, which is said, for who is not root:
    /// only root may choose the next pid there.
    pub fn new() -> Option<Fixture> {
        Fixture::with("")
    }

    /// The same with these lines in the config of the server that dies.
    pub fn with(lines: &str) -> Option<Fixture> {
        if !nix::unistd::geteuid().is_root() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("reuse");
            let told = writeln!(std::io::stderr(), "not played, needs root: {test}");
            told.expect("standard error is open");
            return None;
        }
        let sandbox = Sandbox::in_namespace();
        sandbox.install(&["object-server"]);
        sandbox.conf("object-server/1.conf", lines);
        sandbox.conf("object-server/2.conf", "");
        fs::write(sandbox.run_dir().join("object-server.log"), "hello\n").expect("a log");
        fs::create_dir(sandbox.run_dir().join("object-server")).expect("a folder of pid files");
        Some(Fixture {
            points: Points::new(&sandbox),
            reuser: PidReuser::new(&sandbox),
            sandbox,
        })
    }

    /// Plays a round again and again, each time with the next case, in one namespace.
    pub fn rounds<T>(count: usize, cases: &[T], round: impl FnMut(&mut Fixture, &T)) {
        if let Some(mut fixture) = Fixture::new() {
            fixture.play(count, cases, round);
        }
    }

    /// The same here.
    pub fn play<T>(&mut self, count: usize, cases: &[T], mut round: impl FnMut(&mut Fixture, &T)) {
        assert!(count >= cases.len(), "{count} rounds leave a case out");
        for case in cases.iter().cycle().take(count) {
            round(self, case);
        }
    }

    /// The server runs and has its pid file. It does nothing, whatever signal it gets.
    pub fn server(&mut self) -> Process {
        self.server_with(0)
    }

    /// The same with workers.
    pub fn server_with(&mut self, workers: usize) -> Process {
        let server = self.reuser.start(workers, Successor::Again.line());
        self.write_pid_file(server.pid);
        server
    }

    /// One that does what servers do.
    pub fn real_server(&mut self) -> Process {
        let program = self.sandbox.path("bin/swift-object-server");
        let program = program.to_str().expect("a path in letters");
        let server = self.reuser.execute(program, Successor::Again.line());
        self.write_pid_file(server.pid);
        server
    }

    /// The row of the server as swift-resolve-servers writes it.
    pub fn resolve(&self) -> String {
        let args = ["--run-dir=/run/swift", "object.1"];
        let outcome = self.run("swift-resolve-servers", &args, "");
        assert_eq!(outcome.out(), configured(), "{outcome}");
        outcome.out()
    }

    /// The server dies, and its number goes to somebody else.
    pub fn swap(&mut self, server: &Process, who: Successor) -> Process {
        self.swap_with(server, who, 0)
    }

    /// The same with workers.
    pub fn swap_with(&mut self, server: &Process, who: Successor, workers: usize) -> Process {
        self.reuser.free(server.pid);
        self.take_with(server, who, workers)
    }

    /// The number of a server that is gone goes to somebody else.
    pub fn take(&mut self, server: &Process, who: Successor) -> Process {
        self.take_with(server, who, 0)
    }

    /// The same server with the same config has another start here; what holds within one tick is shown
    /// in `within_tick.rs`.
    fn take_with(&mut self, server: &Process, who: Successor, workers: usize) -> Process {
        loop {
            let successor = self.take_now(server.pid, workers, who);
            assert_eq!(successor.pid, server.pid);
            if who != Successor::Again || successor.start != server.start {
                return successor;
            }
            self.reuser.free(successor.pid);
        }
    }

    /// Somebody takes a number. The same server with another config has its own pid file, as every one
    /// has that was started by these tools.
    pub fn take_now(&mut self, pid: i32, workers: usize, who: Successor) -> Process {
        let successor = self.reuser.take(pid, workers, who.line());
        let text = successor.pid.to_string();
        match who {
            Successor::Other => drop(self.sandbox.pid_file("object-server/2.pid", text)),
            Successor::Untracked => drop(self.sandbox.pid_file("object-server/2.pid", "0")),
            _ => {}
        }
        successor
    }

    /// Lets somebody go who should not have got a signal.
    pub fn unharmed(&mut self, successor: &Process, round: &str) {
        let signals = self.reuser.end(successor.pid);
        assert!(signals.is_empty(), "{round}: wrong signals: {signals:?}");
    }

    pub fn write_pid_file(&self, pid: i32) {
        self.sandbox
            .pid_file("object-server/1.pid", pid.to_string());
    }

    /// What the pid file holds, when there is one.
    pub fn pid_file(&self) -> Option<String> {
        fs::read_to_string(self.sandbox.run_dir().join("object-server/1.pid")).ok()
    }

    /// The pid file is gone, unless the number belongs to the server again.
    pub fn told_truth(&self, successor: &Process, who: Successor, round: &str) {
        let left = (who == Successor::Again).then(|| successor.pid.to_string());
        assert_eq!(self.pid_file(), left, "{round}: the pid file");
    }

    /// The next command that cleans removes a pid file that lies.
    pub fn cleaned(&self, successor: &Process, who: Successor, round: &str) {
        let outcome = self.run("swift-pidfile", &["--clean"], &configured());
        let wanted = match who {
            Successor::Again => row(successor, "running\t-"),
            _ => row(successor, "stopped\twrong-process"),
        };
        assert_eq!((outcome.out(), outcome.code()), (wanted, 0), "{round}");
        self.told_truth(successor, who, round);
    }

    /// Kills the server that a tool has started, and gives its number.
    pub fn end_started(&mut self, round: &str) -> i32 {
        let pid = self
            .pid_file()
            .unwrap_or_else(|| panic!("{round}: no pid file"));
        self.reuser.kill(&pid);
        pid.parse().expect("a pid")
    }

    /// A tool in the namespace, which looks at the points.
    pub fn tool(&self, tool: &str, args: &[&str]) -> Command {
        let mut command = self.sandbox.command(tool);
        command.args(args);
        self.points.apply(&mut command);
        command
    }

    /// Runs a tool on rows.
    pub fn run(&self, tool: &str, args: &[&str], rows: &str) -> Outcome {
        run_with(&mut self.tool(tool, args), rows.as_bytes(), LIMIT)
    }

    /// Runs a tool on rows up to `PROGRAM:POINT`.
    pub fn up_to(&self, point: &str, tool: &str, args: &[&str], rows: &str) -> Paused {
        let pause = self.points.pause_at(point);
        let going = Going::start(self.tool(tool, args), rows);
        pause.reached();
        Paused { pause, going }
    }
}

/// The row of the server in that state, as swift-pidfile writes it.
pub fn row(server: &Process, state: &str) -> String {
    let (pid, start) = (server.pid, server.start);
    let start = match state.starts_with("running") {
        true => start.to_string(),
        false => "-".to_owned(),
    };
    format!("object-server\t{CONFIG}\t{PID_FILE}\t{pid}\t{start}\t{state}\n")
}

/// The row of a server of which nothing is known yet.
pub fn configured() -> String {
    format!("object-server\t{CONFIG}\t{PID_FILE}\t-\t-\tconfigured\t-\n")
}

/// Start, state and detail of each row.
pub fn said(outcome: &Outcome) -> Vec<String> {
    let rows = outcome.rows();
    rows.iter().map(|row| row[5..7].join(" ")).collect()
}

/// The folder of Swift's own programs.
pub fn venv() -> String {
    let venv = test_helpers::lab::venv(test_helpers::lab::NEWEST);
    format!("{}/bin", venv.display())
}

/// The Python that Swift's own needs.
pub fn python() -> String {
    format!("{}/python3", venv())
}

/// A tool that goes on.
pub struct Going(Child);

impl Going {
    pub fn start(mut command: Command, rows: &str) -> Going {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be started");
        let mut input = child.stdin.take().expect("its input is a pipe");
        input
            .write_all(rows.as_bytes())
            .expect("a pipe holds a row");
        Going(child)
    }

    pub fn finish(self) -> Outcome {
        test_helpers::finish(self.0)
    }
}

/// A tool that stands at a point.
pub struct Paused {
    pause: Pause,
    going: Going,
}

impl Paused {
    /// Lets it go on, and waits for its end.
    pub fn finish(self) -> Outcome {
        // Whoever comes by from now on goes on at once.
        drop(self.pause);
        self.going.finish()
    }
}
