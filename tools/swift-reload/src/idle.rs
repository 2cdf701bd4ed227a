//! A process that cannot take the signal: on its way to it, or at rest.

use std::io;
use std::time::{Duration, Instant};

use swift_server::process::{Pid, Stat, stat};

/// How long a start takes at most, as a rule. What is younger may still become
/// able to take the signal, whatever it does.
const START: Duration = Duration::from_secs(10);

/// How many looks in succession have to show an older one at rest: one that
/// executes itself anew just now is busy with it.
const LOOKS: u32 = 5;

/// A process as it was seen while it could not take the signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle {
    /// The processor time that it had had, in clock ticks.
    used: u64,
    /// How many looks in succession have shown it at rest.
    looks: u32,
    /// Where its stack begins, and since when it has been seen there. An image
    /// that has had the time of a start is past it, however busy it is.
    image: Option<(u64, Instant)>,
}

impl Idle {
    /// Observes it; `true` when its start is behind it, so that there is nothing
    /// to wait for.
    pub fn observe(&mut self, pid: Pid) -> io::Result<bool> {
        let Some(stat) = stat(pid)? else {
            return Ok(false);
        };
        Ok(self.saw(&stat, stat.age()?, Instant::now()))
    }

    fn saw(&mut self, stat: &Stat, age: Duration, now: Instant) -> bool {
        let is_busy = matches!(stat.state, b'R' | b'D') || stat.used != self.used;
        self.used = stat.used;
        let may_start = is_busy || age < START;
        self.looks = if may_start { 0 } else { self.looks + 1 };
        self.image = match (self.image, stat.stack) {
            (Some((old, since)), Some(stack)) if old == stack => Some((old, since)),
            (_, stack) => stack.map(|stack| (stack, now)),
        };
        let is_same = |(_, since)| now.duration_since(since) >= START;
        self.looks >= LOOKS || self.image.is_some_and(is_same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Duration = Duration::from_secs(3600);

    /// A look at one that never rests.
    fn busy(used: u64, stack: u64) -> Stat {
        let zeros = "0 ".repeat(11);
        let line =
            format!("7 (x) R 1 7 7 0 0 0 0 0 0 0 {used} 0 0 0 0 0 0 0 9 0 0 0 0 0 {stack} {zeros}");
        Stat::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn one_at_rest_is_past_its_start() {
        let mut idle = Idle::default();
        let now = Instant::now();
        let stat = Stat {
            state: b'S',
            ..busy(0, 5)
        };
        let looks: Vec<bool> = (0..LOOKS).map(|_| idle.saw(&stat, OLD, now)).collect();
        assert_eq!(looks, [false, false, false, false, true]);
        let mut idle = Idle::default();
        assert!((0..2 * LOOKS).all(|_| !idle.saw(&stat, START / 2, now)));
    }

    #[test]
    fn one_that_never_rests_is_past_its_start_unless_it_executes() {
        let begin = Instant::now();
        let look = |idle: &mut Idle, seconds: u64, stack| {
            idle.saw(
                &busy(seconds, stack),
                OLD,
                begin + Duration::from_secs(seconds),
            )
        };
        let mut idle = Idle::default();
        assert_eq!(busy(3, 5).stack, Some(5));
        assert!((0..10).all(|second| !look(&mut idle, second, 5)));
        assert!(look(&mut idle, 10, 5));
        let mut idle = Idle::default();
        assert!((0..10).all(|second| !look(&mut idle, second, 5)));
        assert!((10..20).all(|second| !look(&mut idle, second, 6)));
        assert!(look(&mut idle, 20, 6));
        // Where the stack is not shown, no exec is seen.
        let mut idle = Idle::default();
        assert!((0..60).all(|second| !look(&mut idle, second, 0)));
    }
}
