//! A process that does nothing, and notices every signal.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::Signal;

/// The environment variable that makes this program an actor, since its arguments must not: how many
/// workers it has, or [`WORKER`].
pub const PART: &str = "PID_REUSER_PART";

/// The part of a worker.
const WORKER: &str = "worker";

/// Plays a part until the input ends: tells the workers' numbers in a line, waits for the worker that
/// a line of input names and says so, and tells in the end which signals have come.
///
/// Every signal is blocked since before this program was executed.
pub fn play(part: &str) {
    let _open: Vec<File> = std::env::args().skip(1).flat_map(File::open).collect();
    let mut workers = Vec::new();
    if part != WORKER {
        nix::unistd::setsid().expect("a child leads no group");
        let count: usize = part.parse().expect("a number of workers");
        workers = (0..count).map(|_| Worker::start()).collect();
    }
    let numbers: Vec<String> = workers.iter().map(|w| w.child.id().to_string()).collect();
    say(&numbers.join(" "));
    for line in std::io::stdin().lines() {
        let line = line.expect("lines of text");
        let place = workers
            .iter()
            .position(|w| w.child.id().to_string() == line);
        let mut worker = workers.remove(place.expect("its parent is asked"));
        worker.child.wait().expect("a child can be waited for");
        say("gone");
    }
    let mut output = signals();
    for worker in workers {
        output += &worker.end();
    }
    say(output.trim());
}

fn say(line: &str) {
    // The parent may be gone, and then this ends as well.
    let _ = writeln!(std::io::stdout(), "{line}");
}

struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one with this process's own command line, as Swift's servers do, and waits until it runs.
    fn start() -> Worker {
        let mut args = std::env::args();
        let mut command = Command::new("/proc/self/exe");
        command.arg0(args.next().expect("a program has a name"));
        command.args(args).env(PART, WORKER);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a worker can be started");
        let mut output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        output.read_line(&mut String::new()).expect("lines of text");
        Worker { child, output }
    }

    /// Lets it go, and tells which signals it got.
    fn end(mut self) -> String {
        let mut output = String::new();
        drop(self.child.stdin.take());
        self.output
            .read_to_string(&mut output)
            .expect("lines of text");
        let status = self.child.wait().expect("a child can be waited for");
        match status.signal() {
            Some(signal) => format!(" {}:{signal}", self.child.id()),
            None => format!(" {}", output.trim()),
        }
    }
}

/// The signals that wait for this process. Those of its workers' ends are its own.
fn signals() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is there");
    let masks = status.lines().filter_map(|line| {
        line.strip_prefix("SigPnd:")
            .or(line.strip_prefix("ShdPnd:"))
    });
    let pending = masks
        .map(|mask| u64::from_str_radix(mask.trim(), 16).expect("a mask"))
        .fold(0, |all, mask| all | mask);
    let (own, child) = (std::process::id(), Signal::SIGCHLD as u32);
    let numbers = (1..=64).filter(|number| pending >> (number - 1) & 1 == 1);
    numbers
        .filter(|number| *number != child)
        .map(|number| format!(" {own}:{number}"))
        .collect()
}
