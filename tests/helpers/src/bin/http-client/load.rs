//! Many clients at once, and a count of what became of their requests.

use std::io::{ErrorKind, Read, Result, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use crate::connection::{Connection, Failure};

/// The results of the requests.
#[derive(Debug, Default)]
struct Counts {
    answered: u64,
    refused: u64,
    reset: u64,
    /// On a connection that had been kept: closed before the request arrived. The client cannot know
    /// whether it was read.
    raced: u64,
    other: u64,
    why: Option<String>,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.reset += other.reset;
        self.raced += other.raced;
        self.other += other.other;
        self.why = self.why.take().or(other.why);
    }

    fn failed(&mut self, failure: Failure, kept: bool) {
        let kind = match &failure {
            Failure::Connect(error) | Failure::Unanswered(error) | Failure::Broken(error) => {
                error.kind()
            }
        };
        match (&failure, kind) {
            (Failure::Unanswered(_), ErrorKind::WouldBlock) => self.other += 1,
            (Failure::Unanswered(_), _) if kept => self.raced += 1,
            (_, ErrorKind::ConnectionRefused | ErrorKind::NotFound) => self.refused += 1,
            (_, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => {
                self.reset += 1;
            }
            _ => self.other += 1,
        }
        self.why.get_or_insert_with(|| format!("{failure:?}"));
    }
}

/// Loads until the input ends.
pub fn run(address: &str, path: &str, new: usize, kept: usize) -> Result<()> {
    let done = AtomicBool::new(false);
    let counts = std::thread::scope(|scope| {
        let (first, firsts) = mpsc::channel();
        let clients: Vec<_> = (0..new + kept)
            .map(|number| {
                let (done, first) = (&done, Some(first.clone()));
                scope.spawn(move || client(address, path, number >= new, done, first))
            })
            .collect();
        drop(first);
        // Each client lets go of its end after its first answer.
        for () in firsts {}
        let mut stdout = std::io::stdout();
        writeln!(stdout, "loading").and_then(|()| stdout.flush())?;
        let end = std::io::stdin().read_to_end(&mut Vec::new());
        done.store(true, Ordering::Relaxed);
        let mut all = Counts::default();
        for client in clients {
            all.add(client.join().expect("a client does not panic"));
        }
        end.map(|_| all)
    })?;
    let Counts {
        answered,
        refused,
        reset,
        raced,
        other,
        why,
    } = counts;
    let why = why.unwrap_or_else(|| "-".into());
    writeln!(
        std::io::stdout(),
        "{answered} answered, {refused} refused, {reset} reset, {raced} raced, {other} other; {why}"
    )
}

/// One request after the other, until it is enough.
fn client(
    address: &str,
    path: &str,
    keeps: bool,
    done: &AtomicBool,
    mut first: Option<mpsc::Sender<()>>,
) -> Counts {
    let mut counts = Counts::default();
    let mut connection: Option<Connection> = None;
    while !done.load(Ordering::Relaxed) {
        let was_kept = connection.is_some();
        let answer = match connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(address).map_err(Failure::Connect),
        };
        let answer = answer.and_then(|mut connection| {
            let answer = connection.get(path, keeps)?;
            Ok((answer.keeps && keeps).then_some(connection))
        });
        match answer {
            Ok(kept) => {
                counts.answered += 1;
                connection = kept;
            }
            Err(failure) => counts.failed(failure, was_kept),
        }
        first.take();
    }
    counts
}
