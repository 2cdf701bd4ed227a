//! The command line: that of Swift's own swift-reload, and what rows need.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use swift_cli::text;
use swift_cli::{self as cli, Action, Arg, Args, Opt, Tool, UsageError};
use swift_records::catalogue::SWIFT_DIR;
use swift_server::check;

/// How long a reload may take unless the user says otherwise.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What this tool takes.
pub static TOOL: Tool = Tool {
    name: "swift-reload",
    usage: "[options] [PID]",
    about: "Reloads a server seamlessly: proves that it can be reloaded, checks its config, signals\n\
            it and waits deadline it is ready. Without PID, reads rows and reloads all that run.",
    options: &[
        cli::HELP,
        cli::VERSION,
        cli::QUIET,
        cli::SWIFT_DIR,
        Opt::value(
            Some('t'),
            "timeout",
            "SECONDS",
            "wait so long for the end of the reload (default 300)",
        ),
        Opt::flag(Some('w'), "no-wait", "send the signal and do not wait"),
        Opt::flag(None, "no-check", "do not check the config first"),
        Opt::value(
            None,
            "check-timeout",
            "SECONDS",
            "take a config for bad whose check takes longer (default 60)",
        ),
        Opt::flag(
            None,
            "one-by-one",
            "reload one row after the other, up to the first failure",
        ),
        Opt::flag(Some('v'), "verbose", "say what is being done, step by step"),
    ],
    example: "swift-resolve-servers main | swift-pidfile --running | swift-reload --one-by-one",
    pages: &["swift-reload(1)", "swift-records(5)"],
};

/// What is to be reloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The process of that number, if there can be one.
    Pid(i64),
    /// What the rows on standard input say runs.
    Rows,
}

/// How a reload is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How long its end is awaited; none when it is not.
    pub wait: Option<Duration>,
    /// Whether the config is checked first.
    pub check: bool,
    /// How long a check may take.
    pub check_timeout: Duration,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// What is to be reloaded.
    pub what: What,
    /// How.
    pub manner: Manner,
    /// Whether one row follows the other.
    pub one_by_one: bool,
    /// Whether failures that are rows are not repeated on standard error.
    pub quiet: bool,
    /// Whether every step is told.
    pub verbose: bool,
    /// Where the site's catalogue lies.
    pub swift_dir: PathBuf,
}

/// Reads the arguments that follow the program's name.
pub fn parse(
    args: impl IntoIterator<Item = OsString> + 'static,
) -> Result<Action<Options>, UsageError> {
    let mut args = Args::new(&TOOL, args.into_iter().collect::<Vec<_>>());
    let (mut timeout, mut no_wait) = (None, false);
    let mut options = Options {
        what: What::Rows,
        manner: Manner {
            wait: None,
            check: true,
            check_timeout: check::TIMEOUT,
        },
        one_by_one: false,
        quiet: false,
        verbose: false,
        swift_dir: SWIFT_DIR.into(),
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Flag("help") => return Ok(Action::Help),
            Arg::Flag("version") => return Ok(Action::Version),
            Arg::Flag("quiet") => options.quiet = true,
            Arg::Flag("verbose") => options.verbose = true,
            Arg::Flag("no-wait") => no_wait = true,
            Arg::Flag("no-check") => options.manner.check = false,
            Arg::Flag("one-by-one") => options.one_by_one = true,
            Arg::Value("timeout", value) => timeout = Some(value.seconds()?),
            Arg::Value("check-timeout", value) => options.manner.check_timeout = value.seconds()?,
            Arg::Value("swift-dir", value) => options.swift_dir = value.path()?,
            Arg::Operand(word) if options.what == What::Rows => options.what = pid(&word)?,
            Arg::Operand(word) => {
                let word = text::quote(word.as_encoded_bytes());
                return Err(UsageError(format!("more than one PID: {word}")));
            }
            other => unreachable!("{other:?} is in the table"),
        }
    }
    if no_wait && timeout.is_some() {
        return Err(UsageError("--no-wait: not allowed with --timeout".into()));
    }
    options.manner.wait = (!no_wait).then(|| timeout.unwrap_or(TIMEOUT));
    Ok(Action::Run(options))
}

/// The operand as a number. Whether there can be such a process is found out later: that is no
/// usage error.
fn pid(word: &OsStr) -> Result<What, UsageError> {
    let number = word.to_str().and_then(|word| word.trim().parse().ok());
    let quoted = || text::quote(word.as_encoded_bytes());
    number
        .map(What::Pid)
        .ok_or_else(|| UsageError(format!("argument PID: invalid int value: {}", quoted())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        match super::parse(words) {
            Ok(Action::Run(options)) => Ok(options),
            Ok(other) => panic!("{other:?}"),
            Err(UsageError(what)) => Err(what),
        }
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&TOOL, &[]);
    }

    #[test]
    fn the_originals_command_line() {
        let options = parse(&["-vt", "2.5", "4711"]).unwrap();
        assert_eq!(options.what, What::Pid(4711));
        assert!(options.verbose && options.manner.check);
        assert_eq!(options.manner.wait, Some(Duration::from_millis(2500)));
        assert_eq!(parse(&["--no-wait", "1"]).unwrap().manner.wait, None);
        assert_eq!(parse(&["1"]).unwrap().manner.wait, Some(TIMEOUT));
    }

    #[test]
    fn rows_unless_there_is_a_pid() {
        let options = parse(&["--one-by-one", "--no-check", "--check-timeout=3", "-q"]).unwrap();
        assert_eq!(options.what, What::Rows);
        assert!(options.one_by_one && options.quiet && !options.manner.check);
        assert_eq!(options.manner.check_timeout, Duration::from_secs(3));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (words, what) in [
            (&["x"][..], "argument PID: invalid int value: 'x'"),
            (&["1", "2"], "more than one PID: '2'"),
            (&["-w", "-t1"], "--no-wait: not allowed with --timeout"),
            (
                &["-t", "-1", "1"],
                "option -t: invalid number of seconds: '-1'",
            ),
            (
                &["--no", "1"],
                "ambiguous option: --no (--no-check, --no-wait?)",
            ),
        ] {
            assert_eq!(parse(words), Err(what.to_owned()));
        }
    }
}
