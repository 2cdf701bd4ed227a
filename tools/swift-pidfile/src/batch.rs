//! The rows that are there at a time. Nearly all of a look is the kernel's work,
//! so many rows are shared out to threads.

use std::sync::LazyLock;
use std::thread::{self, available_parallelism};

use swift_records::catalogue::{Catalogue, Server};
use swift_records::row::Row;
use swift_server::rundir::{Locks, RunDirs};
use swift_server::stream::BadLine;

use crate::examine::{Examined, examine};
use crate::options::Mode;

/// A thread is worth its start when it has at least so many rows.
const WORTH_A_THREAD: usize = 32;

/// The number of threads. More than eight only wait for the kernel's locks.
static THREADS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, |n| n.get().min(8)));

/// A line of input, and later what became of it.
pub enum Line {
    /// A line that is no row, or whose row makes no sense.
    Bad(BadLine),
    /// A row, with the number of its line.
    Row(u64, Row),
    /// A row that was examined.
    Examined(Examined),
}

/// The things that all batches have in common.
pub struct Batches<'a> {
    own: Examiner<'a>,
    locks: Locks,
}

impl<'a> Batches<'a> {
    /// None yet.
    pub fn new(catalogue: &'a Catalogue, mode: Mode) -> Batches<'a> {
        Batches {
            own: Examiner::new(catalogue, mode),
            locks: Locks::default(),
        }
    }

    /// Examines every row, and leaves what became of it in its place.
    pub fn examine(&mut self, lines: &mut [Option<Line>]) {
        self.locks.forget();
        if lines.len() >= 2 * WORTH_A_THREAD {
            self.share_out(lines);
        }
        // The rows that no thread has taken; all of them when there are few.
        self.own.examine(lines, &self.locks);
    }

    fn share_out(&mut self, lines: &mut [Option<Line>]) {
        let threads = THREADS.min(lines.len() / WORTH_A_THREAD);
        let (catalogue, mode, locks) = (self.own.catalogue, self.own.mode, &self.locks);
        let mut parts = lines.chunks_mut(lines.len().div_ceil(threads));
        let first = parts.next();
        thread::scope(|scope| {
            for part in parts {
                let work = move || Examiner::new(catalogue, mode).examine(part, locks);
                // Without a thread, its part is left for later.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            if let Some(first) = first {
                self.own.examine(first, locks);
            }
        });
    }
}

/// One after another.
struct Examiner<'a> {
    catalogue: &'a Catalogue,
    mode: Mode,
    run_dirs: RunDirs,
    /// That of the last row: rows of one server stand together.
    server: Option<Server>,
}

impl<'a> Examiner<'a> {
    fn new(catalogue: &'a Catalogue, mode: Mode) -> Examiner<'a> {
        Examiner {
            catalogue,
            mode,
            run_dirs: RunDirs::default(),
            server: None,
        }
    }

    fn examine(&mut self, lines: &mut [Option<Line>], locks: &Locks) {
        for line in lines {
            *line = match line.take() {
                Some(Line::Row(number, row)) => Some(self.examine_row(number, row, locks)),
                done => done,
            };
        }
    }

    fn examine_row(&mut self, number: u64, row: Row, locks: &Locks) -> Line {
        if row.pidfile.is_none() {
            return Line::Examined((row.into(), false));
        }
        let server = match &mut self.server {
            Some(server) if server.name == row.server => server,
            other => other.insert(self.catalogue.server(&row.server)),
        };
        match examine(row, server, &mut self.run_dirs, locks, self.mode) {
            Ok(examined) => Line::Examined(examined),
            Err(what) => Line::Bad(BadLine { line: number, what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use swift_records::state::State;

    #[test]
    fn every_row_is_examined_and_keeps_its_place() {
        let catalogue = Catalogue::load(Path::new("/nonexistent")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mode = Mode {
            clean: true,
            no_start: false,
            owned: true,
        };
        for count in [1, 63, 64, 1000] {
            let row = |n: u64| Row {
                config: Some(format!("/etc/swift/object-server/{n}.conf").into()),
                pidfile: Some(directory.path().join(format!("object-server/{n}.pid"))),
                ..Row::new("object-server", State::Configured)
            };
            let mut lines: Vec<_> = (1..=count).map(|n| Some(Line::Row(n, row(n)))).collect();
            let odd = Row {
                config: Some("/etc/passwd".into()),
                ..row(0)
            };
            lines.push(Some(Line::Row(count + 1, odd)));
            Batches::new(&catalogue, mode).examine(&mut lines);
            let Some(Some(Line::Bad(bad))) = lines.pop() else {
                panic!("a config that is none");
            };
            assert_eq!(bad.line, count + 1);
            for (line, n) in lines.into_iter().zip(1..) {
                let Some(Line::Examined((outcome, _))) = line else {
                    panic!("row {n} was not examined");
                };
                assert_eq!(outcome.row.pidfile, row(n).pidfile);
                assert_eq!(outcome.row.state, State::Stopped);
            }
        }
    }
}
