//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use swift_cli::text;
use swift_cli::{self as cli, Action, Arg, Args, Opt, Tool, UsageError};
use swift_records::catalogue::SWIFT_DIR;
use swift_server::check;

/// The table of options.
pub static TOOL: Tool = Tool {
    name: "swift-check-config",
    usage: "[OPTION]... < ROWS",
    about: "Let Swift servers check their own configs.",
    options: &[
        Opt::value(
            None,
            "timeout",
            "SECONDS",
            "end a check that takes longer (default 60)",
        ),
        cli::SWIFT_DIR,
        cli::QUIET,
        cli::HELP,
        cli::VERSION,
    ],
    example: "swift-resolve-servers main | swift-pidfile | swift-check-config > /dev/null",
    pages: &["swift-check-config(1)", "swift-records(5)"],
};

/// What the command line says.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// How long a check may take.
    pub timeout: Duration,
    /// The swift directory.
    pub swift_dir: PathBuf,
    /// Whether rows are not to be repeated on standard error.
    pub quiet: bool,
}

/// Reads the arguments that follow the program's name.
pub fn parse(
    args: impl IntoIterator<Item = OsString, IntoIter: 'static>,
) -> Result<Action<Options>, UsageError> {
    let mut options = Options {
        timeout: check::TIMEOUT,
        swift_dir: SWIFT_DIR.into(),
        quiet: false,
    };
    let mut args = Args::new(&TOOL, args);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Flag("help") => return Ok(Action::Help),
            Arg::Flag("version") => return Ok(Action::Version),
            Arg::Flag("quiet") => options.quiet = true,
            Arg::Value("timeout", value) => options.timeout = value.seconds()?,
            Arg::Value("swift-dir", value) => options.swift_dir = value.path()?,
            Arg::Operand(word) => {
                let word = text::quote(word.as_encoded_bytes());
                return Err(UsageError(format!("rows come from standard input: {word}")));
            }
            other => unreachable!("{other:?} is not in the table"),
        }
    }
    Ok(Action::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(args: &[&str]) -> Result<Action<Options>, UsageError> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        parse(args)
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&TOOL, &[]);
    }

    #[test]
    fn a_timeout_is_in_seconds() {
        let Ok(Action::Run(options)) = action(&["-q", "--timeout=0.5"]) else {
            panic!("it can be understood");
        };
        assert_eq!(options.timeout, Duration::from_millis(500));
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
