//! Failures of a start, and the ends of servers, as rows and messages.

use std::path::Path;

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::outcome::Outcome;
use swift_sys::error::reason_of;
use swift_sys::pidfd::Ended;
use swift_sys::signal::Signal;

/// The longest part of a server's output that a message repeats, in bytes. The
/// row holds all of it, and the end says most.
const REPEATED: usize = 400;

/// A failure: a reason for the row, what follows it there, and what a message
/// says.
#[derive(Debug)]
pub struct Failure {
    reason: Reason,
    text: Vec<u8>,
    message: String,
}

impl Failure {
    /// A failure whose row and message give the same text.
    pub fn new(reason: Reason, why: &str) -> Failure {
        Failure {
            reason,
            text: why.into(),
            message: why.into(),
        }
    }

    /// A file or directory that cannot be used: the row knows its path already.
    pub fn of_path(reason: Reason, what: &str, path: &Path, error: &std::io::Error) -> Failure {
        let why = reason_of(error);
        let message = format!("{what} {}: {why}", path.display());
        Failure {
            reason,
            text: why.into(),
            message,
        }
    }

    /// The same failure, of which the message says more.
    pub fn saying(self, message: String) -> Failure {
        Failure { message, ..self }
    }

    /// A server that did not get ready in time, and what it printed.
    pub fn timeout(output: Vec<u8>) -> Failure {
        Failure {
            reason: Reason::Timeout,
            message: said("it is not ready in time".into(), &output),
            text: output,
        }
    }

    /// A server that cannot be found again: why, and what it printed.
    pub fn unproven(why: &str, output: &[u8]) -> Failure {
        Failure {
            reason: Reason::Unproven,
            text: why.into(),
            message: said(format!("{why}; it was stopped again"), output),
        }
    }

    /// The outcome of a row that failed so.
    pub fn of(self, row: Row) -> Outcome {
        let message = format!("cannot start {}: {}", row.name(), self.message);
        Outcome::failed(row.with(State::Failed, self.reason, &self.text), message)
    }
}

/// The outcome of a server that has ended.
pub fn ended(row: Row, ended: Ended, output: &[u8]) -> Outcome {
    let (reason, how) = match ended {
        Ended::Exit(0) if output.is_empty() => return row.with_state(State::Finished).into(),
        Ended::Exit(0) => return row.with(State::Finished, Reason::Output, output).into(),
        Ended::Exit(status) => (Reason::Exit(status), format!("exit status {status}")),
        Ended::Signal(number) => {
            let name = signal_name(number);
            (Reason::Signal(number), format!("ended by {name}"))
        }
    };
    let failed = match row.state {
        State::Ready => "does not stay up",
        _ => "failed",
    };
    let message = format!("{} {failed}: {}", row.name(), said(how, output));
    Outcome::failed(row.with(State::Failed, reason, output), message)
}

/// The name of a signal, or its number when it has none.
pub fn signal_name(number: u8) -> String {
    let signal = Signal::from_number(number.into());
    signal.map_or_else(|| number.to_string(), |signal| signal.to_string())
}

/// A message, followed by the end of what the server printed.
fn said(what: String, output: &[u8]) -> String {
    let text = swift_cli::text::backslash_replace(output);
    let text = text.trim();
    if text.is_empty() {
        return what;
    }
    let from = (text.len().saturating_sub(REPEATED)..)
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let dots = if from > 0 { "..." } else { "" };
    format!("{what}: {dots}{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State) -> Row {
        let mut row = Row::new("object-server", state);
        row.config = Some("/etc/swift/object-server.conf".into());
        row
    }

    #[test]
    fn the_row_has_all_and_the_message_the_end() {
        let output = format!("{}é{}\n", "x".repeat(1000), "y".repeat(REPEATED - 1));
        let Outcome { row, failure } =
            ended(row(State::Started), Ended::Exit(3), output.as_bytes());
        assert_eq!(row.detail, format!("exit-3 {output}").into_bytes());
        // The letter that would be cut in the middle is left out.
        let message = failure.expect("it is a failure");
        let start = "object-server (/etc/swift/object-server.conf) failed: exit status 3: ...yyy";
        assert!(message.starts_with(start), "{message}");
    }

    #[test]
    fn an_end_after_it_was_ready_is_told_as_such() {
        let outcome = ended(row(State::Ready), Ended::Signal(9), b"bye\n");
        let wanted = "object-server (/etc/swift/object-server.conf) does not stay up: \
                      ended by SIGKILL: bye";
        assert_eq!(outcome.failure.as_deref(), Some(wanted));
    }

    #[test]
    fn success_is_not_told() {
        for (output, detail) in [(&b""[..], &b""[..]), (b"done", b"output done")] {
            let Outcome { row, failure } = ended(row(State::Started), Ended::Exit(0), output);
            assert_eq!((row.state, failure), (State::Finished, None));
            assert_eq!(row.detail, detail);
        }
    }

    #[test]
    fn causes_are_words_without_numbers() {
        let error = std::io::Error::from_raw_os_error(13);
        let error = anyhow::Error::new(error).context("cannot lock /run/x");
        assert_eq!(reason_of(&error), "cannot lock /run/x: Permission denied");
    }
}
