//! When what is to be done next, for any number of servers that are awaited.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// One moment for each number that has one; the first is found at once.
#[derive(Debug, Default)]
pub struct Timers {
    moments: HashMap<u64, Instant>,
    order: BTreeSet<(Instant, u64)>,
}

impl Timers {
    /// Sets the moment of a number anew, or forgets it.
    pub fn set(&mut self, id: u64, moment: Option<Instant>) {
        let before = match moment {
            Some(moment) => self.moments.insert(id, moment),
            None => self.moments.remove(&id),
        };
        if let Some(before) = before {
            self.order.remove(&(before, id));
        }
        self.order.extend(moment.map(|moment| (moment, id)));
    }

    /// The first moment.
    pub fn first(&self) -> Option<Instant> {
        self.order.first().map(|(moment, _)| *moment)
    }

    /// The numbers whose moment has come, the earliest first. They keep it until
    /// it is set anew.
    pub fn due(&self, now: Instant) -> Vec<u64> {
        let due = self.order.iter().take_while(|(moment, _)| *moment <= now);
        due.map(|(_, id)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_is_due_first() {
        let begin = Instant::now();
        let at = |ms| Some(begin + Duration::from_millis(ms));
        let mut timers = Timers::default();
        assert_eq!(timers.first(), None);
        timers.set(1, at(30));
        timers.set(2, at(10));
        timers.set(3, at(20));
        timers.set(2, at(40));
        timers.set(4, None);
        assert_eq!(timers.first(), at(20));
        assert_eq!(timers.due(at(30).unwrap()), [3, 1]);
        timers.set(3, None);
        timers.set(3, None);
        assert_eq!(timers.due(at(30).unwrap()), [1]);
        assert_eq!(timers.due(begin), []);
    }
}
