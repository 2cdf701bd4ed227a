//! Clients that send requests all the while, and the count of what became of them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running `http-client load`.
#[derive(Debug)]
pub struct Load {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// The results of the requests, in the client's own words.
#[derive(Debug)]
pub struct Counts {
    /// The whole line.
    pub line: String,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests whose connection was refused.
    pub refused: u64,
    /// Requests that were cut off.
    pub reset: u64,
    /// Requests sent on a kept connection while the server closed it.
    pub raced: u64,
    /// Requests that failed in other ways.
    pub other: u64,
}

impl Load {
    /// Loads a server from here on with requests for a path. The command is `http-client` as it runs beside
    /// the server, which answers at the address; `new` clients connect for each request, `kept` clients keep
    /// their connection.
    ///
    /// # Panics
    /// When it cannot be run, or not every client has a first answer.
    pub fn begin(mut command: Command, address: &str, path: &str, new: usize, kept: usize) -> Load {
        let (new, kept) = (new.to_string(), kept.to_string());
        command.args(["load", address, &new, &kept, path]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the client can be run");
        let mut out = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("its output can be read");
        assert_eq!(line, "loading\n");
        Load { child, out }
    }

    /// Ends it, and counts.
    ///
    /// # Panics
    /// When it says something else than its line of counts.
    pub fn end(mut self) -> Counts {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.out
            .read_to_string(&mut line)
            .expect("its output can be read");
        self.child.wait().expect("it ends");
        let number = |what: &str| {
            let before = line
                .split(&format!(" {what}"))
                .next()
                .expect("a first part");
            let number = before.rsplit(' ').next().expect("a last part");
            number
                .parse()
                .unwrap_or_else(|_| panic!("no {what} in {line:?}"))
        };
        Counts {
            answered: number("answered"),
            refused: number("refused"),
            reset: number("reset"),
            raced: number("raced"),
            other: number("other"),
            line,
        }
    }
}

impl Counts {
    /// That every single request was answered.
    ///
    /// # Panics
    /// When it is not so.
    pub fn all_answered(&self) {
        assert_eq!(self.lost() + self.raced, 0, "{}", self.line);
        assert!(self.answered > 0, "{}", self.line);
    }

    /// Those for which there is no excuse.
    pub fn lost(&self) -> u64 {
        self.refused + self.reset + self.other
    }
}
