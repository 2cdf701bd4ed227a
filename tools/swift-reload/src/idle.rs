//! Whether a process that cannot take the signal is still on its way to it.

use std::io;
use std::time::Duration;

use shared::process::{Pid, stat};

/// How long a start takes at most, as a rule. What is younger may still become
/// able to take the signal, whatever it does.
const START: Duration = Duration::from_secs(10);

/// How many looks in succession have to show an older one at rest: one that
/// executes itself anew just now is busy with it.
const LOOKS: u32 = 5;

/// What was seen of a process while it could not take the signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle {
    /// The processor time that it had had, in clock ticks.
    used: u64,
    /// How many looks in succession have shown it at rest.
    looks: u32,
}

impl Idle {
    /// Looks at it; `true` when its start is behind it, so that there is nothing
    /// to wait for.
    pub fn look(&mut self, pid: Pid) -> io::Result<bool> {
        let Some(stat) = stat(pid)? else {
            return Ok(false);
        };
        let is_busy = matches!(stat.state, b'R' | b'D') || stat.used != self.used;
        self.used = stat.used;
        let may_start = is_busy || stat.age()? < START;
        self.looks = if may_start { 0 } else { self.looks + 1 };
        Ok(self.looks >= LOOKS)
    }
}
