//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use swift_cli::{self as cli, Action, Arg, Args, Opt, Tool, UsageError};
use swift_records::catalogue::SWIFT_DIR;

/// What this tool takes.
pub static TOOL: Tool = Tool {
    name: "swift-spawn",
    usage: "[OPTION]... < ROWS",
    about: "Start the Swift servers that are stopped, and wait until they are ready.",
    options: &[
        Opt::flag(
            None,
            "once",
            "let daemons do one pass, and wait for their end",
        ),
        Opt::flag(
            None,
            "no-wait",
            "give servers no output, and do not wait until they are ready",
        ),
        Opt::flag(
            None,
            "foreground",
            "start servers on this terminal, and wait for their end",
        ),
        Opt::flag(
            None,
            "supervise",
            "start servers in the background, and wait for their end as well",
        ),
        Opt::value(
            None,
            "input-fd",
            "N",
            "with --foreground, their standard input (default /dev/null)",
        ),
        Opt::value(
            None,
            "output-fd",
            "N",
            "with --foreground, their standard output (default 2)",
        ),
        Opt::value(
            None,
            "error-fd",
            "N",
            "with --foreground, their standard error (default 2)",
        ),
        Opt::value(
            None,
            "start-timeout",
            "SECONDS",
            "stop a server that is not ready by then (default: wait for ever)",
        ),
        Opt::flag(None, "keep-limits", "raise no resource limits"),
        cli::SWIFT_DIR,
        cli::QUIET,
        cli::HELP,
        cli::VERSION,
    ],
    example: "swift-resolve-servers main | swift-pidfile --clean | swift-spawn",
    pages: &["swift-spawn(1)", "swift-records(5)"],
};

/// What a server gets as standard input, output and error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// /dev/null, and one pipe for its output, which is awaited.
    Pipe,
    /// /dev/null.
    Null,
    /// These descriptors of this process; without a number, /dev/null.
    Inherited {
        /// Standard input.
        input: Option<i32>,
        /// Standard output.
        output: i32,
        /// Standard error.
        error: i32,
    },
}

/// What is asked for.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Whether servers that can are to do one pass.
    pub once: bool,
    /// What servers get to read from and to write to.
    pub stdio: Stdio,
    /// True when the end of a server is awaited after it was ready.
    pub supervise: bool,
    /// How long a server may take to be ready.
    pub start_timeout: Option<Duration>,
    /// Whether limits are left alone.
    pub keep_limits: bool,
    /// Whether failures are not repeated on standard error.
    pub quiet: bool,
    /// Where the site's catalogue lies.
    pub swift_dir: PathBuf,
}

impl Options {
    /// Whether servers run on the caller's terminal.
    pub fn foreground(&self) -> bool {
        matches!(self.stdio, Stdio::Inherited { .. })
    }

    /// True when the caller stays as long as the servers run, and stops them.
    pub fn leaves_stop_to_caller(&self) -> bool {
        self.foreground() || self.supervise
    }
}

/// Reads the arguments that follow the program's name.
pub fn parse(
    args: impl IntoIterator<Item = OsString> + 'static,
) -> Result<Action<Options>, UsageError> {
    let mut args = Args::new(&TOOL, args.into_iter().collect::<Vec<_>>());
    let (mut once, mut no_wait, mut foreground) = (false, false, false);
    let mut supervise = false;
    let (mut keep_limits, mut quiet) = (false, false);
    let (mut input, mut output, mut error) = (None, None, None);
    let mut start_timeout = None;
    let mut swift_dir = PathBuf::from(SWIFT_DIR);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Flag("help") => return Ok(Action::Help),
            Arg::Flag("version") => return Ok(Action::Version),
            Arg::Flag("quiet") => quiet = true,
            Arg::Flag("once") => once = true,
            Arg::Flag("no-wait") => no_wait = true,
            Arg::Flag("foreground") => foreground = true,
            Arg::Flag("supervise") => supervise = true,
            Arg::Flag("keep-limits") => keep_limits = true,
            Arg::Value("input-fd", value) => input = Some(value.descriptor()?),
            Arg::Value("output-fd", value) => output = Some(value.descriptor()?),
            Arg::Value("error-fd", value) => error = Some(value.descriptor()?),
            Arg::Value("start-timeout", value) => start_timeout = Some(value.seconds()?),
            Arg::Value("swift-dir", value) => swift_dir = value.path()?,
            Arg::Operand(word) => {
                let word = swift_cli::text::quote(word.as_encoded_bytes());
                let what = format!("rows come from standard input: {word}");
                return Err(UsageError(what));
            }
            other => unreachable!("{other:?} is in the table"),
        }
    }
    if foreground && no_wait {
        return Err(UsageError(
            "--foreground and --no-wait exclude each other".into(),
        ));
    }
    let other = [
        (foreground, "--foreground"),
        (no_wait, "--no-wait"),
        (once, "--once"),
    ];
    if let Some((_, other)) = other.iter().find(|(set, _)| *set && supervise) {
        let what = format!("--supervise and {other} exclude each other");
        return Err(UsageError(what));
    }
    let stdio = match (foreground, no_wait) {
        (true, _) => Stdio::Inherited {
            input,
            output: output.unwrap_or(2),
            error: error.unwrap_or(2),
        },
        (false, _) if input.or(output).or(error).is_some() => {
            return Err(UsageError(
                "--input-fd, --output-fd and --error-fd want --foreground".into(),
            ));
        }
        (false, true) => Stdio::Null,
        (false, false) => Stdio::Pipe,
    };
    Ok(Action::Run(Options {
        once,
        stdio,
        supervise,
        start_timeout,
        keep_limits,
        quiet,
        swift_dir,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Action<Options>, UsageError> {
        super::parse(words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn options(words: &[&str]) -> Options {
        match parse(words) {
            Ok(Action::Run(options)) => options,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&TOOL, &[]);
    }

    #[test]
    fn without_options_the_output_is_awaited() {
        let options = options(&[]);
        assert_eq!(options.stdio, Stdio::Pipe);
        assert_eq!(options.start_timeout, None);
        assert!(!options.once && !options.keep_limits && !options.quiet);
    }

    #[test]
    fn the_foreground_has_descriptors_of_its_own() {
        let rows_are_elsewhere = Stdio::Inherited {
            input: None,
            output: 2,
            error: 2,
        };
        assert_eq!(options(&["--foreground"]).stdio, rows_are_elsewhere);
        let given = &["--fore", "--input-fd=3", "--output-fd", "4", "--error-fd=5"];
        let (input, output, error) = (Some(3), 4, 5);
        assert_eq!(
            options(given).stdio,
            Stdio::Inherited {
                input,
                output,
                error
            }
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (words, what) in [
            (&["object"][..], "rows come from standard input: 'object'"),
            (
                &["--foreground", "--no-wait"],
                "--foreground and --no-wait exclude each other",
            ),
            (
                &["--supervise", "--once"],
                "--supervise and --once exclude each other",
            ),
            (
                &["--output-fd=1"],
                "--input-fd, --output-fd and --error-fd want --foreground",
            ),
            (
                &["--foreground", "--input-fd=-1"],
                "option --input-fd: invalid file descriptor: '-1'",
            ),
            (
                &["--start-timeout=soon"],
                "option --start-timeout: invalid number of seconds: 'soon'",
            ),
        ] {
            assert_eq!(parse(words), Err(UsageError(what.into())));
        }
    }
}
