//! The command line: that of Swift's own swift-reload, and what rows need.

use std::ffi::OsString;
use std::time::Duration;

use swift_cli::text;
use swift_cli::{CommandLine, Exit, SwiftDir, Tool, UsageError};
use swift_server::check;

/// How long a reload may take unless the user says otherwise.
const TIMEOUT: Duration = Duration::from_secs(300);

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-reload",
    usage: "[options] [PID]",
    about: "Reloads a server seamlessly: proves that it can be reloaded, checks its config, signals\n\
            it and waits until it is ready. Without PID, reads rows and reloads all that run.",
    example: "swift-resolve-servers main | swift-pidfile --running | swift-reload --one-by-one",
    pages: &["swift-reload(1)", "swift-records(5)"],
    unable: Exit::Failed,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::HELP,
        Opt::VERSION,
        Opt::quiet(|o| o.quiet = true),
        Opt::swift_dir(|o| &mut o.swift_dir),
        Opt::value(Some('t'), "timeout", "SECONDS", |o| &mut o.timeout)
            .help("wait so long for the end of the reload (default 300)"),
        Opt::flag(Some('w'), "no-wait", |o| o.no_wait = true)
            .help("send the signal and do not wait"),
        Opt::flag(None, "no-check", |o| o.no_check = true).help("do not check the config first"),
        Opt::value(None, "check-timeout", "SECONDS", |o| &mut o.check_timeout)
            .help("take a config for bad whose check takes longer (default 60)"),
        Opt::flag(None, "one-by-one", |o| o.one_by_one = true)
            .help("reload one row after the other, up to the first failure"),
        Opt::flag(Some('v'), "verbose", |o| o.verbose = true)
            .help("say what is being done, step by step"),
    ],
    operand: Options::operand,
    checked: Options::checked,
};

/// How a reload is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// How long its end is awaited; none when it is not.
    pub wait: Option<Duration>,
    /// Check the config first.
    pub check: bool,
    /// How long a check may take.
    pub check_timeout: Duration,
}

/// The command line's options.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The process to reload, if there can be one of that number; without it, what the rows on
    /// standard input say runs.
    pub pid: Option<i64>,
    timeout: Option<Duration>,
    no_wait: bool,
    no_check: bool,
    check_timeout: Option<Duration>,
    /// Reload one row after the other.
    pub one_by_one: bool,
    /// Do not repeat failures that are rows on standard error.
    pub quiet: bool,
    /// Report every step.
    pub verbose: bool,
    /// The directory of the site's catalogue.
    pub swift_dir: SwiftDir,
}

impl Options {
    /// How a reload is done.
    pub fn mode(&self) -> Mode {
        Mode {
            wait: (!self.no_wait).then(|| self.timeout.unwrap_or(TIMEOUT)),
            check: !self.no_check,
            check_timeout: self.check_timeout.unwrap_or(check::TIMEOUT),
        }
    }

    /// The operand as a number. Whether there can be such a process is found out later: that is no
    /// usage error.
    fn operand(&mut self, word: OsString) -> Result<(), UsageError> {
        let quoted = text::quote(word.as_encoded_bytes());
        if self.pid.is_some() {
            return Err(UsageError(format!("more than one PID: {quoted}")));
        }
        let bad = || UsageError(format!("argument PID: invalid int value: {quoted}"));
        let pid = word.to_str().and_then(|word| word.trim().parse().ok());
        self.pid = Some(pid.ok_or_else(bad)?);
        Ok(())
    }

    /// The options, when they go together.
    fn checked(self) -> Result<Options, UsageError> {
        if self.no_wait && self.timeout.is_some() {
            return Err(UsageError("--no-wait: not allowed with --timeout".into()));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_cli::Action;

    fn parse(words: &[&str]) -> Result<Options, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        match COMMAND_LINE.parse(words) {
            Ok(Action::Run(options)) => Ok(options),
            Ok(other) => panic!("{other:?}"),
            Err(UsageError(what)) => Err(what),
        }
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&COMMAND_LINE, &[]);
    }

    #[test]
    fn the_originals_command_line() {
        let options = parse(&["-vt", "2.5", "4711"]).unwrap();
        assert_eq!(options.pid, Some(4711));
        assert!(options.verbose && options.mode().check);
        assert_eq!(options.mode().wait, Some(Duration::from_millis(2500)));
        assert_eq!(parse(&["--no-wait", "1"]).unwrap().mode().wait, None);
        assert_eq!(parse(&["1"]).unwrap().mode().wait, Some(TIMEOUT));
    }

    #[test]
    fn rows_unless_there_is_a_pid() {
        let options = parse(&["--one-by-one", "--no-check", "--check-timeout=3", "-q"]).unwrap();
        assert_eq!(options.pid, None);
        assert!(options.one_by_one && options.quiet && !options.mode().check);
        assert_eq!(options.mode().check_timeout, Duration::from_secs(3));
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
