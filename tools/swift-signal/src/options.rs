//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use swift_cli::text;
use swift_cli::{Action, CommandLine, SwiftDir, Tool, UsageError};
use swift_records::catalogue::Server;
use swift_sys::signal::Signal;

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-signal",
    usage: "[options] SIGNAL|stop|graceful|seamless",
    about: "Reads rows and signals the servers that run, each proven to be the one meant.\n\
            stop and graceful wait for their end and remove their pid files.",
    example: "swift-resolve-servers object | swift-pidfile --running | swift-signal stop",
    pages: &["swift-signal(1)", "swift-records(5)"],
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::HELP,
        Opt::VERSION,
        Opt::quiet(|o| o.quiet = true),
        Opt::swift_dir(|o| &mut o.swift_dir),
        Opt::value(None, "site-file", "FILE", |o| &mut o.site_file)
            .help("read FILE in the place of swift-init.toml"),
        Opt::value(None, "wait", "SECONDS", |o| &mut o.wait)
            .help("wait so long for the end (stop and graceful: 15)"),
        Opt::flag(None, "kill", |o| o.kill = true)
            .help("kill the process group of what outlives the wait"),
        Opt::flag(None, "announce", |o| o.announce = true)
            .help("write a row as soon as a signal is sent, too"),
        Opt::flag(None, "children", |o| o.children = true)
            .help("signal the workers, and leave their parent alone"),
    ],
    operand: Options::operand,
};

/// Which signal is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// This one.
    Signal(Signal),
    /// The one that ends the server.
    Stop,
    /// The one that ends it and lets requests under way finish.
    Graceful,
    /// The one that makes it execute itself anew.
    Seamless,
}

impl Meaning {
    fn parse(word: &str) -> Option<Meaning> {
        match word {
            "stop" => Some(Meaning::Stop),
            "graceful" => Some(Meaning::Graceful),
            "seamless" => Some(Meaning::Seamless),
            _ => Signal::parse(word).map(Meaning::Signal),
        }
    }

    /// The signal for a server; none when it has no such signal.
    pub fn of(self, server: &Server) -> Option<Signal> {
        match self {
            Meaning::Signal(signal) => Some(signal),
            Meaning::Stop => Some(server.stop),
            Meaning::Graceful => Some(server.graceful),
            Meaning::Seamless => server.seamless,
        }
    }

    /// Whether the server is expected to end by it.
    pub fn ends(self) -> bool {
        matches!(self, Meaning::Stop | Meaning::Graceful)
    }
}

/// The command line's options.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    meaning: Option<Meaning>,
    /// How long to wait for the end, when the default is not meant.
    pub wait: Option<Duration>,
    /// Whether to kill what outlives the wait.
    pub kill: bool,
    /// Whether the workers are meant.
    pub children: bool,
    /// Whether a row says of each signal that it was sent, before the wait.
    pub announce: bool,
    /// Whether failures are not repeated on standard error.
    pub quiet: bool,
    /// The swift directory.
    pub swift_dir: SwiftDir,
    /// The site's catalogue, when it is not in the swift directory.
    pub site_file: Option<PathBuf>,
}

impl Options {
    fn operand(&mut self, word: OsString) -> Result<(), UsageError> {
        if self.meaning.is_some() {
            return Err(UsageError(ONE_SIGNAL.into()));
        }
        self.meaning = word.to_str().and_then(Meaning::parse);
        let quoted = text::quote(word.as_encoded_bytes());
        let unknown = || UsageError(format!("no such signal: {quoted}"));
        self.meaning.map(|_| ()).ok_or_else(unknown)
    }

    /// The signal with the options, when they go together.
    fn checked(self) -> Result<(Meaning, Options), UsageError> {
        let refuse = |what: &str| Err(UsageError(what.into()));
        let Some(meaning) = self.meaning else {
            return refuse(ONE_SIGNAL);
        };
        if self.children && (self.kill || self.wait.is_some()) {
            return refuse("--children cannot be combined with --wait or --kill");
        }
        if self.kill && self.wait.is_none() && !meaning.ends() {
            return refuse("--kill requires --wait SECONDS");
        }
        Ok((meaning, self))
    }
}

const ONE_SIGNAL: &str = "exactly one signal is wanted";

/// Reads the arguments that follow the program's name.
pub fn parse(
    args: impl IntoIterator<Item = OsString, IntoIter: 'static>,
) -> Result<Action<(Meaning, Options)>, UsageError> {
    COMMAND_LINE.parse(args)?.try_map(Options::checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &'static [&'static str]) -> Result<Action<(Meaning, Options)>, UsageError> {
        super::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(
            &COMMAND_LINE,
            &[
                "stop", "graceful", "seamless", "HUP", "USR1", "TERM", "KILL",
            ],
        );
    }

    #[test]
    fn signals_by_name_number_and_meaning() {
        for (word, meaning) in [
            ("HUP", Meaning::Signal(Signal::HUP)),
            ("SIGTERM", Meaning::Signal(Signal::TERM)),
            ("10", Meaning::Signal(Signal::USR1)),
            ("graceful", Meaning::Graceful),
        ] {
            let Ok(Action::Run((found, _))) = super::parse([OsString::from(word)]) else {
                panic!("{word}")
            };
            assert_eq!(found, meaning);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (words, what) in [
            (&[][..], "exactly one signal is wanted"),
            (&["TERM", "HUP"], "exactly one signal is wanted"),
            (&["0"], "no such signal: '0'"),
            (&["NOPE"], "no such signal: 'NOPE'"),
            (
                &["--wait", "-1", "TERM"],
                "option --wait: invalid number of seconds: '-1'",
            ),
            (&["--kill", "HUP"], "--kill requires --wait SECONDS"),
            (
                &["--children", "--wait=3", "HUP"],
                "--children cannot be combined with --wait or --kill",
            ),
        ] {
            assert_eq!(parse(words), Err(UsageError(what.into())));
        }
    }
}
