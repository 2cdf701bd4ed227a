//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use swift_cli::text;
use swift_cli::{self as cli, Action, Arg, Args, Opt, Tool, UsageError};
use swift_records::catalogue::{SITE_FILE, SWIFT_DIR, Server};
use swift_sys::signal::Signal;

/// What this tool takes.
pub static TOOL: Tool = Tool {
    name: "swift-signal",
    usage: "[options] SIGNAL|stop|graceful|seamless",
    about: "Reads rows and signals the servers that run, each proven to be the one meant.\n\
            stop and graceful wait for their end and remove their pid files.",
    options: &[
        cli::HELP,
        cli::VERSION,
        cli::QUIET,
        cli::SWIFT_DIR,
        Opt::value(
            None,
            "site-file",
            "FILE",
            "read FILE in the place of swift-init.toml",
        ),
        Opt::value(
            None,
            "wait",
            "SECONDS",
            "wait so long for the end (stop and graceful: 15)",
        ),
        Opt::flag(
            None,
            "kill",
            "kill the process group of what outlives the wait",
        ),
        Opt::flag(
            None,
            "announce",
            "write a row as soon as a signal is sent, too",
        ),
        Opt::flag(
            None,
            "children",
            "signal the workers, and leave their parent alone",
        ),
    ],
    example: "swift-resolve-servers object | swift-pidfile --running | swift-signal stop",
    pages: &["swift-signal(1)", "swift-records(5)"],
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

/// What is asked for.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Which signal to send.
    pub meaning: Meaning,
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
    /// The site's catalogue.
    pub site_file: PathBuf,
}

/// Reads the arguments that follow the program's name.
pub fn parse(
    args: impl IntoIterator<Item = OsString> + 'static,
) -> Result<Action<Options>, UsageError> {
    let mut args = Args::new(&TOOL, args.into_iter().collect::<Vec<_>>());
    let mut words = Vec::new();
    let (mut wait, mut kill, mut children, mut quiet) = (None, false, false, false);
    let mut announce = false;
    let (mut swift_dir, mut site_file) = (PathBuf::from(SWIFT_DIR), None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Flag("help") => return Ok(Action::Help),
            Arg::Flag("version") => return Ok(Action::Version),
            Arg::Flag("quiet") => quiet = true,
            Arg::Flag("kill") => kill = true,
            Arg::Flag("children") => children = true,
            Arg::Flag("announce") => announce = true,
            Arg::Value("wait", value) => wait = Some(value.seconds()?),
            Arg::Value("swift-dir", value) => swift_dir = value.path()?,
            Arg::Value("site-file", value) => site_file = Some(value.path()?),
            Arg::Operand(word) => words.push(word),
            other => unreachable!("{other:?} is in the table"),
        }
    }
    let [word] = words.as_slice() else {
        return Err(UsageError("exactly one signal is wanted".into()));
    };
    let meaning = word.to_str().and_then(Meaning::parse).ok_or_else(|| {
        UsageError(format!(
            "no such signal: {}",
            text::quote(word.as_encoded_bytes())
        ))
    })?;
    if children && (kill || wait.is_some()) {
        return Err(UsageError(
            "--children cannot be combined with --wait or --kill".into(),
        ));
    }
    if kill && wait.is_none() && !meaning.ends() {
        return Err(UsageError("--kill requires --wait SECONDS".into()));
    }
    Ok(Action::Run(Options {
        meaning,
        wait,
        kill,
        children,
        announce,
        quiet,
        site_file: site_file.unwrap_or_else(|| swift_dir.join(SITE_FILE)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &'static [&'static str]) -> Result<Action<Options>, UsageError> {
        super::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(
            &TOOL,
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
            let Ok(Action::Run(options)) = super::parse([OsString::from(word)]) else {
                panic!("{word}")
            };
            assert_eq!(options.meaning, meaning);
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
