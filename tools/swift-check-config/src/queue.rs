//! Rows that keep their order though some have to wait for a verdict.

use std::collections::VecDeque;

use swift_records::row::Row;

/// The rows that were read and not yet written.
#[derive(Debug, Default)]
pub struct Queue {
    rows: VecDeque<(Row, bool)>,
    written: u64,
}

impl Queue {
    /// Adds a row that needs nothing.
    pub fn ready(&mut self, row: Row) {
        self.rows.push_back((row, true));
    }

    /// Adds a row that has to wait, and gives the number by which it is settled.
    pub fn waiting(&mut self, row: Row) -> u64 {
        self.rows.push_back((row, false));
        self.written + self.rows.len() as u64 - 1
    }

    /// A waiting row, which may be changed now and is ready then.
    pub fn settle(&mut self, number: u64) -> &mut Row {
        let (row, ready) = &mut self.rows[(number - self.written) as usize];
        *ready = true;
        row
    }

    /// The next row in order, if it is ready.
    pub fn next(&mut self) -> Option<Row> {
        if !self.rows.front()?.1 {
            return None;
        }
        self.written += 1;
        self.rows.pop_front().map(|(row, _)| row)
    }

    /// True when every row was written.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_records::state::State;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let row = |name: &str| Row::new(name, State::Stopped);
        let mut queue = Queue::default();
        queue.ready(row("a"));
        let b = queue.waiting(row("b"));
        assert_eq!(queue.next(), Some(row("a")));
        let c = queue.waiting(row("c"));
        queue.ready(row("d"));
        queue.settle(c).state = State::Misconfigured;
        assert_eq!(queue.next(), None);
        queue.settle(b);
        assert_eq!(queue.next(), Some(row("b")));
        assert_eq!(queue.next(), Some(Row::new("c", State::Misconfigured)));
        assert_eq!(queue.next(), Some(row("d")));
        assert!(queue.next().is_none() && queue.is_empty());
    }
}
