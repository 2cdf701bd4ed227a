//! Finds an instance's row among many without holding its key a second time:
//! with ten thousand rows, keys are most of what there is to hold.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use swift_records::row::{Row, RowId};

/// Where rows are, such as numbers in a list, found by what is in the rows. Who
/// asks says which row is where.
pub struct Index<T> {
    places: HashTable<T>,
    hasher: RandomState,
}

impl<T: Copy> Index<T> {
    /// No row yet, and room for so many.
    pub fn with_capacity(count: usize) -> Index<T> {
        Index {
            places: HashTable::with_capacity(count),
            hasher: RandomState::new(),
        }
    }

    /// Where the row of that instance is.
    pub fn find<'a>(&self, instance: RowId, at: impl Fn(T) -> &'a Row) -> Option<T> {
        let is_it = |place: &T| at(*place).id() == instance;
        let hash = self.hasher.hash_one(instance);
        self.places.find(hash, is_it).copied()
    }

    /// Where the row of the same instance is; when there is none, `place` is where
    /// this one will be.
    pub fn find_or_enter<'a>(&mut self, row: &Row, place: T, at: impl Fn(T) -> &'a Row) -> T {
        let is_it = |place: &T| at(*place).id() == row.id();
        let rehash = |place: &T| self.hasher.hash_one(at(*place).id());
        let hash = self.hasher.hash_one(row.id());
        match self.places.entry(hash, is_it, rehash) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(place).get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_records::state::State;

    #[test]
    fn a_row_is_found_by_its_instance_and_to_the_byte() {
        let row = |config: &str| Row {
            config: Some(config.into()),
            ..Row::new("object-server", State::Stopped)
        };
        let rows: Vec<Row> = (0..100).map(|n| row(&format!("/x/{n}.conf"))).collect();
        let mut index = Index::with_capacity(1);
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(index.find_or_enter(row, n, |n| &rows[n]), n);
        }
        let running = rows[7].clone().with_state(State::Running);
        assert_eq!(index.find_or_enter(&running, 100, |n| &rows[n]), 7);
        assert_eq!(index.find(running.id(), |n| &rows[n]), Some(7));
        assert_eq!(index.find(row("/x//7.conf").id(), |n| &rows[n]), None);
    }
}
