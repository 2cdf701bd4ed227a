//! The command line.

use std::time::Duration;

use swift_cli::{CommandLine, Exit, SwiftDir, Tool, no_operand};

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-check-config",
    usage: "[OPTION]... < ROWS",
    about: "Let Swift servers check their own configs.",
    example: "swift-resolve-servers main | swift-pidfile | swift-check-config > /dev/null",
    pages: &["swift-check-config(1)", "swift-records(5)"],
    unable: Exit::Unable,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::value(None, "timeout", "SECONDS", |o| &mut o.timeout)
            .help("end a check that takes longer (default 60)"),
        Opt::swift_dir(|o| &mut o.swift_dir),
        Opt::quiet(|o| o.quiet = true),
        Opt::HELP,
        Opt::VERSION,
    ],
    operand: no_operand,
    checked: Ok,
};

/// The command line's options.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// How long a check may take, where it is said.
    pub timeout: Option<Duration>,
    /// The swift directory.
    pub swift_dir: SwiftDir,
    /// Do not repeat rows on standard error.
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use swift_cli::{Action, UsageError};

    use super::*;

    fn action(args: &[&str]) -> Result<Action<Options>, UsageError> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        COMMAND_LINE.parse(args)
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&COMMAND_LINE, &[]);
    }

    #[test]
    fn a_timeout_is_in_seconds() {
        let Ok(Action::Run(options)) = action(&["-q", "--timeout=0.5"]) else {
            panic!("it can be understood");
        };
        assert_eq!(options.timeout, Some(Duration::from_millis(500)));
        assert!(options.quiet);
        let error = UsageError("option --timeout: invalid number of seconds: 'soon'".into());
        assert_eq!(action(&["--timeout", "soon"]), Err(error));
    }

    #[test]
    fn configs_are_no_rows() {
        let error = UsageError("rows come from standard input: '/etc/swift/a.conf'".into());
        assert_eq!(action(&["/etc/swift/a.conf"]), Err(error));
    }
}
