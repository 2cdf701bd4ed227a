//! The program `pid-reuser` at work in a sandbox's namespace.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use test_helpers::Sandbox;

/// Starts and ends processes, and has others take their numbers.
pub struct PidReuser {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A process that was started, as its namespace has it.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its start in clock ticks since boot.
    pub start: u64,
    /// The numbers of its workers.
    pub workers: Vec<i32>,
}

impl PidReuser {
    /// Begins in the sandbox's namespace.
    pub fn new(sandbox: &Sandbox) -> PidReuser {
        let mut command = sandbox.command("pid-reuser");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("pid-reuser can be run");
        let output = child.stdout.take().expect("its output is a pipe");
        PidReuser {
            input: child.stdin.take(),
            output: BufReader::new(output),
            child,
        }
    }

    fn ask(&mut self, words: &[&str]) -> String {
        let input = self
            .input
            .as_mut()
            .expect("it is asked until it is dropped");
        writeln!(input, "{}", words.join("\t")).expect("it reads");
        let mut answer = String::new();
        let length = self.output.read_line(&mut answer).expect("lines of text");
        assert_ne!(length, 0, "pid-reuser has failed at {words:?}");
        answer.trim().to_owned()
    }

    fn told(answer: &str) -> Process {
        let mut words = answer.split(' ');
        let mut next = || words.next().expect("a pid and a start");
        Process {
            pid: next().parse().expect("a pid"),
            start: next().parse().expect("clock ticks"),
            workers: words.map(|word| word.parse().expect("a pid")).collect(),
        }
    }

    /// Starts somebody who does nothing, under this command line, with so many workers.
    pub fn start(&mut self, workers: usize, line: &[&str]) -> Process {
        let workers = workers.to_string();
        PidReuser::told(&self.ask(&[&["start", &workers], line].concat()))
    }

    /// Starts a program under this command line.
    pub fn execute(&mut self, program: &str, line: &[&str]) -> Process {
        PidReuser::told(&self.ask(&[&["start", program], line].concat()))
    }

    /// The same as [`PidReuser::start`], under this number, which has to be free.
    pub fn take(&mut self, pid: i32, workers: usize, line: &[&str]) -> Process {
        let (pid, workers) = (pid.to_string(), workers.to_string());
        PidReuser::told(&self.ask(&[&["take", &pid, &workers], line].concat()))
    }

    /// The same for a program.
    pub fn take_by(&mut self, pid: i32, program: &str, line: &[&str]) -> Process {
        PidReuser::told(&self.ask(&[&["take", &pid.to_string(), program], line].concat()))
    }

    /// Kills a process and its group, or a worker alone, and has its number free.
    pub fn free(&mut self, pid: i32) {
        assert_eq!(self.ask(&["free", &pid.to_string()]), "freed");
    }

    /// Lets somebody who does nothing go. Which signals have reached it and its workers: PID:SIGNAL.
    pub fn end(&mut self, pid: i32) -> Vec<String> {
        let answer = self.ask(&["end", &pid.to_string()]);
        answer.split_whitespace().map(str::to_owned).collect()
    }

    /// Kills a server that a tool has started.
    pub fn kill(&mut self, pid: &str) {
        assert_eq!(self.ask(&["kill", pid]), "killed");
    }

    /// All numbers that are in use.
    pub fn pids(&mut self) -> Vec<i32> {
        let answer = self.ask(&["pids"]);
        let pids = answer.split(' ').map(|pid| pid.parse().expect("a pid"));
        pids.collect()
    }
}

impl Drop for PidReuser {
    fn drop(&mut self) {
        // It ends at the end of its input, and all who do nothing with it.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
