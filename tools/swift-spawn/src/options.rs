//! The command line.

use std::os::fd::RawFd;
use std::time::Duration;

use swift_cli::{CommandLine, Exit, SwiftDir, Tool, UsageError, no_operand};

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-spawn",
    usage: "[OPTION]... < ROWS",
    about: "Start the Swift servers that are stopped, and wait until they are ready.",
    example: "swift-resolve-servers main | swift-pidfile --clean | swift-spawn",
    pages: &["swift-spawn(1)", "swift-records(5)"],
    unable: Exit::Failed,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::flag(None, "once", |o| o.once = true)
            .help("let daemons do one pass, and wait for their end"),
        Opt::flag(None, "no-wait", |o| o.no_wait = true)
            .help("give servers no output, and do not wait until they are ready"),
        Opt::flag(None, "foreground", |o| o.foreground = true)
            .help("start servers on this terminal, and wait for their end"),
        Opt::flag(None, "supervise", |o| o.supervise = true)
            .help("start servers in the background, and wait for their end as well"),
        Opt::value(None, "input-fd", "N", |o| &mut o.input)
            .help("with --foreground, their standard input (default /dev/null)"),
        Opt::value(None, "output-fd", "N", |o| &mut o.output)
            .help("with --foreground, their standard output (default 2)"),
        Opt::value(None, "error-fd", "N", |o| &mut o.error)
            .help("with --foreground, their standard error (default 2)"),
        Opt::value(None, "start-timeout", "SECONDS", |o| &mut o.start_timeout)
            .help("stop a server that is not ready by then (default: wait for ever)"),
        Opt::flag(None, "keep-limits", |o| o.keep_limits = true).help("raise no resource limits"),
        Opt::swift_dir(|o| &mut o.swift_dir),
        Opt::quiet(|o| o.quiet = true),
        Opt::HELP,
        Opt::VERSION,
    ],
    operand: no_operand,
    checked: Options::checked,
};

/// The standard input, output and error of a server.
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

/// The command line's options.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// Let servers that can do one pass.
    pub once: bool,
    no_wait: bool,
    /// Run servers on the caller's terminal.
    pub foreground: bool,
    /// True when the end of a server is awaited after it was ready.
    pub supervise: bool,
    input: Option<RawFd>,
    output: Option<RawFd>,
    error: Option<RawFd>,
    /// How long a server may take to be ready.
    pub start_timeout: Option<Duration>,
    /// Leave limits alone.
    pub keep_limits: bool,
    /// Do not repeat failures on standard error.
    pub quiet: bool,
    /// The directory of the site's catalogue.
    pub swift_dir: SwiftDir,
}

impl Options {
    /// Standard input, output and error of servers.
    pub fn stdio(&self) -> Stdio {
        match (self.foreground, self.no_wait) {
            (true, _) => Stdio::Inherited {
                input: self.input,
                output: self.output.unwrap_or(2),
                error: self.error.unwrap_or(2),
            },
            (false, true) => Stdio::Null,
            (false, false) => Stdio::Pipe,
        }
    }

    /// True when the caller stays as long as the servers run, and stops them.
    pub fn leaves_stop_to_caller(&self) -> bool {
        self.foreground || self.supervise
    }

    /// The options, when they go together.
    fn checked(self) -> Result<Options, UsageError> {
        let foreground = (self.foreground, "--foreground");
        let no_wait = (self.no_wait, "--no-wait");
        let supervise = (self.supervise, "--supervise");
        let exclusive = [
            (foreground, no_wait),
            (supervise, foreground),
            (supervise, no_wait),
            (supervise, (self.once, "--once")),
        ];
        if let Some(((_, one), (_, other))) = exclusive.iter().find(|(a, b)| a.0 && b.0) {
            return Err(UsageError(format!("{one} and {other} exclude each other")));
        }
        if !self.foreground && self.input.or(self.output).or(self.error).is_some() {
            let what = "--input-fd, --output-fd and --error-fd want --foreground";
            return Err(UsageError(what.into()));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    use swift_cli::Action;

    fn parse(words: &[&str]) -> Result<Action<Options>, UsageError> {
        COMMAND_LINE.parse(words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn options(words: &[&str]) -> Options {
        match parse(words) {
            Ok(Action::Run(options)) => options,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&COMMAND_LINE, &[]);
    }

    #[test]
    fn without_options_the_output_is_awaited() {
        let options = options(&[]);
        assert_eq!(options.stdio(), Stdio::Pipe);
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
        assert_eq!(options(&["--foreground"]).stdio(), rows_are_elsewhere);
        let given = &["--fore", "--input-fd=3", "--output-fd", "4", "--error-fd=5"];
        let (input, output, error) = (Some(3), 4, 5);
        assert_eq!(
            options(given).stdio(),
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
