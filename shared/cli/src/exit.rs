//! Exit statuses.

use std::process::{ExitCode, Termination};

/// The exit statuses of all tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: something failed, and a row or a message says what.
    Failed,
    /// 2: the command line or an input line could not be understood.
    Usage,
    /// 3: a tool that observes could not do its job, so rows may be missing.
    Unable,
    /// 238: the reload did not come to its end in time (128 + ETIMEDOUT, as
    /// Swift's own swift-reload exits).
    TimedOut,
}

impl Exit {
    /// The graver of two: a bad line outweighs a failure, which outweighs success.
    pub fn and(self, other: Exit) -> Exit {
        if self.status() >= other.status() {
            self
        } else {
            other
        }
    }

    /// The number that the shell sees.
    pub const fn status(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unable => 3,
            Exit::TimedOut => 238,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.status())
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {}", self.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_exit_status_wins() {
        assert_eq!(Exit::Failed.and(Exit::Ok), Exit::Failed);
        assert_eq!(Exit::Failed.and(Exit::Usage), Exit::Usage);
    }
}
