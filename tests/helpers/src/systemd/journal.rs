//! The journal, as it is written.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A unit's messages: those that were there, then those that come.
#[derive(Debug)]
pub struct Journal {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Journal {
    /// The lines that this command of journalctl writes.
    pub(super) fn new(mut command: Command) -> Journal {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("journalctl can be run");
        let lines = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Journal { child, lines }
    }

    /// Waits for the next line that contains this.
    ///
    /// # Panics
    /// When none comes within [`LIMIT`](crate::LIMIT).
    pub fn expect(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let read = self.lines.read_line(&mut seen).expect("it can be read");
            assert!(read > 0, "no {text:?} in the journal, but:\n{seen}");
            if seen[start..].contains(text) {
                return seen[start..].trim_end().to_owned();
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // What nsenter runs inside ends with the machine at the latest.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
