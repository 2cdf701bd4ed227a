//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use swift_cli::text;
use swift_cli::{CommandLine, Exit, SwiftDir, Tool, UsageError};
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
    unable: Exit::Failed,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options, (SignalSpec, Options)> = CommandLine {
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
    checked: Options::checked,
};

/// Which signal is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalSpec {
    /// This one.
    Signal(Signal),
    /// The one that ends the server.
    Stop,
    /// The one that ends it and lets requests under way finish.
    Graceful,
    /// The one that makes it execute itself anew.
    Seamless,
}

impl SignalSpec {
    fn parse(word: &str) -> Option<SignalSpec> {
        match word {
            "stop" => Some(SignalSpec::Stop),
            "graceful" => Some(SignalSpec::Graceful),
            "seamless" => Some(SignalSpec::Seamless),
            _ => Signal::parse(word).map(SignalSpec::Signal),
        }
    }

    /// The signal for a server; none when it has no such signal.
    pub fn of(self, server: &Server) -> Option<Signal> {
        match self {
            SignalSpec::Signal(signal) => Some(signal),
            SignalSpec::Stop => Some(server.stop),
            SignalSpec::Graceful => Some(server.graceful),
            SignalSpec::Seamless => server.seamless,
        }
    }

    /// True when the server is expected to end by it.
    pub fn ends(self) -> bool {
        matches!(self, SignalSpec::Stop | SignalSpec::Graceful)
    }
}

/// The command line's options.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    spec: Option<SignalSpec>,
    /// How long to wait for the end, when the default is not meant.
    pub wait: Option<Duration>,
    /// Kill processes that outlive the wait.
    pub kill: bool,
    /// Signal the workers instead of the server.
    pub children: bool,
    /// Write a row for each signal that was sent, before the wait.
    pub announce: bool,
    /// Do not repeat failures on standard error.
    pub quiet: bool,
    /// The swift directory.
    pub swift_dir: SwiftDir,
    /// The site's catalogue, when it is not in the swift directory.
    pub site_file: Option<PathBuf>,
}

impl Options {
    fn operand(&mut self, word: OsString) -> Result<(), UsageError> {
        if self.spec.is_some() {
            return Err(UsageError(ONE_SIGNAL.into()));
        }
        let unknown = || {
            let quoted = text::quote(word.as_encoded_bytes());
            UsageError(format!("no such signal: {quoted}"))
        };
        let spec = word.to_str().and_then(SignalSpec::parse);
        self.spec = Some(spec.ok_or_else(unknown)?);
        Ok(())
    }

    /// The signal with the options, when they go together.
    fn checked(self) -> Result<(SignalSpec, Options), UsageError> {
        let refuse = |what: &str| Err(UsageError(what.into()));
        let Some(spec) = self.spec else {
            return refuse(ONE_SIGNAL);
        };
        if self.children && (self.kill || self.wait.is_some()) {
            return refuse("--children cannot be combined with --wait or --kill");
        }
        if self.kill && self.wait.is_none() && !spec.ends() {
            return refuse("--kill requires --wait SECONDS");
        }
        Ok((spec, self))
    }
}

const ONE_SIGNAL: &str = "exactly one signal is wanted";

#[cfg(test)]
mod tests {
    use super::*;
    use swift_cli::Action;

    fn parse(words: &'static [&'static str]) -> Result<Action<(SignalSpec, Options)>, UsageError> {
        COMMAND_LINE.parse(words.iter().map(OsString::from))
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
    fn signals_by_name_number_and_spec() {
        for (word, spec) in [
            ("HUP", SignalSpec::Signal(Signal::HUP)),
            ("SIGTERM", SignalSpec::Signal(Signal::TERM)),
            ("10", SignalSpec::Signal(Signal::USR1)),
            ("graceful", SignalSpec::Graceful),
        ] {
            let Ok(Action::Run((found, _))) = COMMAND_LINE.parse([OsString::from(word)]) else {
                panic!("{word}")
            };
            assert_eq!(found, spec);
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
