//! The one loop of the tools that act: rows come in beside other events, and each tool says what a row,
//! an event and a deadline mean to it.

use std::io;
use std::time::Instant;

use crate::outcome::Outcome;
use crate::stream::{self, BadLine, Input, Next, Output};
use swift_cli::{Exit, Tool};
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys::epoll::{Epoll, min_deadline};
use swift_sys::error::reason_of;
use swift_sys::fd;

/// A descriptor that a tool waits for: which of its subjects it belongs to, and which of the subject's
/// descriptors it is. Subject 0 is standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The subject, which the tool counts from 1.
    pub subject: u64,
    /// One of the descriptors of that subject.
    pub part: u8,
}

/// The token of standard input.
const STDIN: Token = Token::new(0, 0);

impl Token {
    /// One of the descriptors of a subject.
    pub const fn new(subject: u64, part: u8) -> Token {
        Token { subject, part }
    }
}

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        token.subject << 8 | u64::from(token.part)
    }
}

impl From<u64> for Token {
    fn from(number: u64) -> Token {
        Token::new(number >> 8, number as u8)
    }
}

/// The pace at which a tool goes on after a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once: the next row may be taken in before events are looked at.
    Quick,
    /// After a while, so events are looked at before the next row.
    Slow,
}

/// The reason why a tool does not act on a row.
#[derive(Debug)]
pub enum RowError {
    /// The row makes no sense: its line is reported as a bad one.
    Bad(String),
    /// The tool cannot go on.
    Failed(anyhow::Error),
}

impl From<String> for RowError {
    fn from(what: String) -> RowError {
        RowError::Bad(what)
    }
}

impl From<io::Error> for RowError {
    fn from(error: io::Error) -> RowError {
        RowError::Failed(error.into())
    }
}

/// The number of subjects that fit into that many descriptors, each taking some, while others are kept
/// free for everything else; at least one.
pub fn max_subjects(descriptors: u64, reserve: u64, each: u64) -> usize {
    let subjects = descriptors.saturating_sub(reserve) / each;
    usize::try_from(subjects).unwrap_or(usize::MAX).max(1)
}

/// A tool that acts on rows.
pub trait Actor {
    /// Acts on a row.
    fn row(&mut self, row: Row) -> Result<Pace, RowError>;

    /// Prepares for the next wait. `reading` is false once no row comes any more.
    fn before_wait(&mut self, _reading: bool) -> anyhow::Result<()> {
        Ok(())
    }

    /// Rows have come during a wait.
    fn rows_came(&mut self) {}

    /// Acts on what has happened during one wait; on nothing when its deadline has come.
    fn events(&mut self, _tokens: &[Token]) -> anyhow::Result<()> {
        Ok(())
    }

    /// The moment at which the tool has something to do by itself.
    fn deadline(&self) -> Option<Instant>;

    /// True when a further row can be taken in.
    fn has_room(&self) -> bool {
        true
    }

    /// True when nothing is under way.
    fn is_idle(&self) -> bool;

    /// True when the tool begins nothing more: then only rows that have arrived are answered.
    fn is_stopping(&self) -> bool {
        false
    }

    /// True when the tool ends at once, whatever is under way.
    fn has_given_up(&self) -> bool {
        false
    }

    /// The rows and messages that it writes.
    fn report(&mut self) -> &mut Report;
}

/// Rows on standard output, messages on standard error, and the exit status that they add up to.
pub struct Report {
    tool: &'static Tool,
    quiet: bool,
    output: Output,
    /// True once rows can no longer be written. The tool begins nothing more
    /// then, and brings to its end what it has begun.
    lost: bool,
    exit: Exit,
    warned_unlooked: bool,
    warned_too_old: bool,
}

impl Report {
    /// The report of a tool; a `quiet` one repeats no row in words.
    pub fn new(tool: &'static Tool, quiet: bool) -> io::Result<Report> {
        Ok(Report::to(stream::stdout()?, tool, quiet))
    }

    fn to(output: Output, tool: &'static Tool, quiet: bool) -> Report {
        Report {
            tool,
            quiet,
            output,
            lost: false,
            exit: Exit::Ok,
            warned_unlooked: false,
            warned_too_old: false,
        }
    }

    /// Writes a row.
    pub fn put(&mut self, row: &Row) {
        self.write(|output| output.put(row));
    }

    /// Passes on a row that is not acted on. One that nothing has looked at shows that a stage is
    /// missing, which is said once and is a failure.
    pub fn pass_on(&mut self, row: &Row) {
        self.complain_of_unlooked(row);
        self.put(row);
    }

    /// The complaint of [`Report::pass_on`] alone.
    pub fn complain_of_unlooked(&mut self, row: &Row) {
        if row.state != State::Configured {
            return;
        }
        self.exit = self.exit.and(Exit::Failed);
        if !std::mem::replace(&mut self.warned_unlooked, true) {
            self.tool.say(&format!(
                "nothing done with {}: its row does not say whether it runs, since swift-pidfile is \
                 missing before {} in the pipeline",
                row.server, self.tool.name
            ));
        }
    }

    /// Writes an outcome's row, and says what failed.
    pub fn put_outcome(&mut self, outcome: &Outcome) {
        match &outcome.failure {
            Some(what) => self.fail(&outcome.row, what),
            None => self.put(&outcome.row),
        }
    }

    /// Writes the row of a failure, and says what failed.
    pub fn fail(&mut self, row: &Row, what: &str) {
        self.complain(what);
        self.put(row);
    }

    /// Says what failed, of which the row is written elsewhere or not at all.
    pub fn complain(&mut self, what: &str) {
        self.failed();
        if !self.quiet {
            self.tool.say(what);
        }
    }

    /// Warns once that configs are not checked, since servers of one machine are of one Swift.
    pub fn warn_too_old(&mut self, command: &str) {
        if !std::mem::replace(&mut self.warned_too_old, true) {
            self.tool.say(&format!(
                "{command} is too old to check configs, and no swift-config stands beside it; \
                 going on without a check"
            ));
        }
    }

    /// Something failed of which no row tells.
    pub fn failed(&mut self) {
        self.failed_with(Exit::Failed);
    }

    /// Something failed that has an exit status of its own.
    pub fn failed_with(&mut self, exit: Exit) {
        self.exit = self.exit.and(exit);
    }

    /// Says that a line is no row.
    pub fn bad_line(&mut self, bad: &BadLine) {
        self.tool.say(&bad.to_string());
        self.exit = self.exit.and(Exit::Usage);
    }

    /// Writes what is waiting. To be called before anything that may block.
    pub fn flush(&mut self) {
        self.write(Output::flush);
    }

    /// Reports once why nothing can be written, unless the reader is gone.
    fn write(&mut self, write: impl FnOnce(&mut Output) -> io::Result<()>) {
        if self.lost {
            return;
        }
        let Err(e) = write(&mut self.output) else {
            return;
        };
        self.lost = true;
        self.exit = self.exit.and(match e.kind() {
            io::ErrorKind::BrokenPipe => Exit::Failed,
            _ => {
                self.tool.say(&reason_of(&e));
                self.tool.unable
            }
        });
    }

    /// True when rows can no longer be written.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The exit status of all that was reported.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

/// Hands rows and events to an actor until no row comes any more and nothing is under way. Once rows
/// can no longer be written, none is taken in, and what is under way is brought to its end.
pub fn run(actor: &mut impl Actor, epoll: &Epoll) -> anyhow::Result<()> {
    let rows = Rows::new(epoll, Input::stdin()?, true)?;
    run_with(actor, rows)
}

/// Hands events to an actor until nothing is under way, without a look at standard input.
pub fn run_without_rows(actor: &mut impl Actor, epoll: &Epoll) -> anyhow::Result<()> {
    let rows = Rows::new(epoll, Input::new(fd::null()?), false)?;
    run_with(actor, rows)
}

fn run_with(actor: &mut impl Actor, mut rows: Rows) -> anyhow::Result<()> {
    loop {
        let pace = rows.take_in(actor)?;
        actor.before_wait(rows.reading)?;
        actor.report().flush();
        let idle = actor.is_idle();
        if actor.has_given_up() || (!rows.reading && idle) {
            return Ok(());
        }
        rows.watch(actor.has_room())?;
        // Of an input that may have no end, only what is there is answered once nothing more begins.
        let last_look = actor.is_stopping() && idle;
        let now = (pace == Pace::Slow || last_look).then(Instant::now);
        let tokens = rows.epoll.wait(min_deadline(now, actor.deadline()))?;
        if last_look && tokens.is_empty() {
            return Ok(());
        }
        let mut tokens: Vec<Token> = tokens.into_iter().map(Token::from).collect();
        let before = tokens.len();
        tokens.retain(|token| *token != STDIN);
        if tokens.len() < before {
            actor.rows_came();
            rows.fill(actor.report());
        }
        actor.events(&tokens)?;
    }
}

/// The rows on standard input, as far as they are still read.
struct Rows<'a> {
    epoll: &'a Epoll,
    input: Input,
    /// True when the input is of a kind that can be waited for; a file is always ready.
    can_wait: bool,
    is_watched: bool,
    reading: bool,
}

impl<'a> Rows<'a> {
    fn new(epoll: &'a Epoll, input: Input, reading: bool) -> io::Result<Rows<'a>> {
        let can_wait = input.watch(epoll, STDIN.into())?;
        Ok(Rows {
            epoll,
            input,
            can_wait,
            is_watched: can_wait,
            reading,
        })
    }

    /// Hands over the rows that are there, until the actor has no room or is slow.
    fn take_in(&mut self, actor: &mut impl Actor) -> anyhow::Result<Pace> {
        while self.reading && !actor.report().is_lost() && actor.has_room() {
            match self.input.next_row() {
                Next::Row(row) => match actor.row(*row) {
                    Ok(Pace::Quick) => {}
                    Ok(Pace::Slow) => return Ok(Pace::Slow),
                    Err(RowError::Bad(what)) => {
                        let line = self.input.line();
                        actor.report().bad_line(&BadLine { line, what });
                    }
                    Err(RowError::Failed(e)) => return Err(e),
                },
                Next::Bad(bad) => actor.report().bad_line(&bad),
                Next::Wait if !self.can_wait => self.fill(actor.report()),
                Next::Wait => break,
                Next::End => self.reading = false,
            }
        }
        self.reading &= !actor.report().is_lost();
        Ok(Pace::Quick)
    }

    /// Reads once. Where that fails, no more rows come.
    fn fill(&mut self, report: &mut Report) {
        if let Err(e) = self.input.fill() {
            let what = format!("cannot read standard input: {}", reason_of(&e));
            report.tool.say(&what);
            report.exit = report.exit.and(report.tool.unable);
            self.reading = false;
        }
    }

    /// Waits for further rows where they are wanted.
    fn watch(&mut self, has_room: bool) -> io::Result<()> {
        let wanted = self.can_wait && self.reading && has_room;
        if wanted && !self.is_watched {
            self.input.watch(self.epoll, STDIN.into())?;
        } else if !wanted && self.is_watched {
            self.input.unwatch(self.epoll);
        }
        self.is_watched = wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_token_survives_its_way_through_epoll() {
        for token in [
            STDIN,
            Token {
                subject: 1,
                part: 255,
            },
            Token {
                subject: 1 << 55,
                part: 3,
            },
        ] {
            assert_eq!(Token::from(u64::from(token)), token);
        }
    }

    const TOOL: Tool = Tool {
        name: "test",
        usage: "",
        about: "",
        example: "",
        pages: &[],
        unable: swift_cli::Exit::Failed,
    };

    #[test]
    fn a_reader_that_is_gone_is_remembered() {
        let (read, write) = swift_sys::fd::pipe().unwrap();
        let mut report = Report::to(Output::new(File::from(write)), &TOOL, false);
        let row = Row::new("a", State::Stopped);
        report.put(&row);
        report.flush();
        drop(read);
        assert!(!report.is_lost());
        report.put(&row);
        report.flush();
        assert!(report.is_lost());
    }

    #[test]
    fn an_output_that_cannot_be_written_is_remembered() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut report = Report::to(Output::new(full), &TOOL, false);
        report.put(&Row::new("a", State::Stopped));
        assert!(!report.is_lost());
        report.flush();
        assert!(report.is_lost());
    }
}
