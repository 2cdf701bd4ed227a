//! The closed list of words that a row's detail can begin with.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// Why a row is in its state: the first word of its detail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
            /// `exit-N`: the process ended with exit status N.
            Exit(u8),
            /// `signal-N`: the process was ended by signal N.
            Signal(u8),
        }

        impl Reason {
            /// Every word that stands for itself, with what it means; `exit-N`
            /// and `signal-N` come on top.
            pub const WORDS: &[(&str, &str)] = &[$(($word, concat!($($doc),+)),)+];

            /// The reason that a detail's first word stands for, if it stands for one.
            pub fn from_word(word: &[u8]) -> Option<Reason> {
                let word = std::str::from_utf8(word).ok()?;
                match word { $($word => return Some(Reason::$name),)+ _ => {} }
                if let Some(number) = word.strip_prefix("exit-") {
                    return canonical(number).map(Reason::Exit);
                }
                canonical(word.strip_prefix("signal-")?).map(Reason::Signal)
            }
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Reason::$name => f.write_str($word),)+
                    Reason::Exit(status) => write!(f, "exit-{status}"),
                    Reason::Signal(number) => write!(f, "signal-{number}"),
                }
            }
        }
    };
}

reasons! {
    /// No pid file, or no config.
    Absent = "absent",
    /// The pid file names a process that is gone.
    Stale = "stale",
    /// The pid file does not hold a process number.
    Invalid = "invalid",
    /// The pid file cannot be read, or is no regular file of at most 64 bytes; or
    /// a directory cannot be read in which it or the config may lie.
    Unreadable = "unreadable",
    /// The pid file names a process that is not this server.
    WrongProcess = "wrong-process",
    /// Comes second, after `stale`, `invalid` or `wrong-process`: the pid file cannot be removed; why
    /// follows.
    Kept = "kept",
    /// The config with which the process runs follows.
    Config = "config",
    /// The unit of systemd that owns it follows, as systemctl(1) takes it.
    Unit = "unit",
    /// The pid file's config is gone.
    Orphan = "orphan",
    /// The config is of a kind that will not be read for ever.
    Deprecated = "deprecated",
    /// The started process would not be found again as this server, so it was stopped; why follows.
    Unproven = "unproven",
    /// The program, or the interpreter that it names, does not exist.
    ExecMissing = "exec-missing",
    /// The program exists and cannot be executed.
    ExecFailed = "exec-failed",
    /// The pid file cannot be written, so the server was not started.
    PidFile = "pid-file",
    /// The run directory's lock was not to be had.
    Lock = "lock",
    /// The system does not permit it.
    Permission = "permission",
    /// Took longer than it was given.
    Timeout = "timeout",
    /// The server cannot do what was asked for.
    Unsupported = "unsupported",
    /// The config could not be checked.
    Untested = "untested",
    /// The config makes no sense; the file and the line follow.
    Syntax = "syntax",
    /// The config lacks the section of this server.
    Section = "section",
    /// The user of the config does not exist, or cannot be become.
    User = "user",
    /// A file that the server needs cannot be read, or is of no use.
    File = "file",
    /// The address of the config is none of this machine.
    Address = "address",
    /// The port of the config is none, or not to be had.
    Port = "port",
    /// A value of the config is none that the server takes.
    Value = "value",
    /// Another process is at work on the same process.
    Busy = "busy",
    /// Took the signal, and its old generation serves on; why follows.
    Refused = "refused",
    /// The process went away meanwhile.
    Vanished = "vanished",
    /// The server's output follows.
    Output = "output",
    /// How many worker processes were signalled follows.
    Children = "children",
    /// The tool was told to stop before this row's turn came.
    Interrupted = "interrupted",
}

/// Numbers are written in one way only, so that a reason has one spelling.
fn canonical(number: &str) -> Option<u8> {
    let value: u8 = number.parse().ok()?;
    (value.to_string() == number).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for (word, _) in Reason::WORDS {
            let reason = Reason::from_word(word.as_bytes()).expect(word);
            assert_eq!(&reason.to_string(), word);
        }
        assert_eq!(Reason::from_word(b"exit-3"), Some(Reason::Exit(3)));
        assert_eq!(Reason::from_word(b"signal-9"), Some(Reason::Signal(9)));
        for bad in ["exit-", "exit-03", "exit-256", "exit-+1", "signal-x", ""] {
            assert_eq!(Reason::from_word(bad.as_bytes()), None, "{bad}");
        }
    }
}
