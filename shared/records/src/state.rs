//! The closed list of states a row can be in.

use std::fmt;

macro_rules! states {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// The knowledge of an instance at the moment the row was written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum State { $($(#[doc = $doc])+ $name,)+ }

        impl State {
            /// Every state, in the order in which a pipeline can produce them.
            pub const ALL: &[State] = &[$(State::$name,)+];

            /// The word that stands in a row's sixth column.
            pub const fn word(self) -> &'static str {
                match self { $(State::$name => $word,)+ }
            }

            /// The state that a word stands for, if it stands for one.
            pub fn from_word(word: &[u8]) -> Option<State> {
                State::ALL.iter().copied().find(|s| s.word().as_bytes() == word)
            }
        }
    };
}

states! {
    /// Has a config and could run (swift-resolve-servers).
    Configured = "configured",
    /// The server has no config, or not the one asked for (swift-resolve-servers).
    Unconfigured = "unconfigured",
    /// A pid file whose config is gone (swift-resolve-servers, swift-pidfile).
    Orphan = "orphan",
    /// The pid file names a process that was proven to be the server (swift-pidfile).
    Running = "running",
    /// Between fork and exec: neither to be cleaned away nor started again (swift-pidfile).
    Starting = "starting",
    /// Nothing runs (swift-pidfile), or what ran has ended (swift-signal).
    Stopped = "stopped",
    /// Runs and may not be signalled (swift-pidfile, swift-signal, swift-reload).
    Denied = "denied",
    /// The pid file names a process that runs the row's program with another config
    /// (swift-pidfile, swift-spawn, swift-signal): never removed, never started beside.
    WrongConfig = "wrong-config",
    /// Runs, and a unit of systemd owns it (swift-pidfile): no tool acts on it.
    Owned = "owned",
    /// The server refuses its own config (swift-check-config, swift-reload).
    Misconfigured = "misconfigured",
    /// A signal was sent (swift-signal, swift-reload).
    Signalled = "signalled",
    /// Ended by SIGKILL after it had outlived the wait (swift-signal).
    Killed = "killed",
    /// Still there when the wait was over (swift-signal).
    Survived = "survived",
    /// The new generation is ready under the same PID (swift-reload).
    Reloaded = "reloaded",
    /// The seamless reload did not come to its end (swift-reload).
    Unreloaded = "unreloaded",
    /// Was executed, and is not known to be ready (swift-spawn).
    Started = "started",
    /// Has closed its output and lives (swift-spawn).
    Ready = "ready",
    /// Could not be started, or died while it started (swift-spawn).
    Failed = "failed",
    /// Ended by itself with exit status 0 (swift-spawn).
    Finished = "finished",
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for &state in State::ALL {
            assert_eq!(State::from_word(state.word().as_bytes()), Some(state));
        }
        assert_eq!(State::from_word(b"Running"), None);
        assert_eq!(State::from_word(b""), None);
    }
}
