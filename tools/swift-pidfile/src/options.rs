//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use swift_cli::text;
use swift_cli::{self as cli, Action, Arg, Args, Opt, Tool, UsageError};
use swift_records::catalogue::SWIFT_DIR;

/// The table of options.
pub static TOOL: Tool = Tool {
    name: "swift-pidfile",
    usage: "[OPTION]... < ROWS",
    about: "Say which Swift servers run, from pid files and /proc.",
    options: &[
        Opt::flag(None, "clean", "remove stale or invalid pid files"),
        Opt::flag(None, "no-start", "leave out when what runs was started"),
        Opt::flag(None, "owned", "tell apart what a unit of systemd owns"),
        Opt::flag(None, "running", "write only the rows of what runs"),
        cli::SWIFT_DIR,
        cli::QUIET,
        cli::HELP,
        cli::VERSION,
    ],
    example: "swift-resolve-servers all | swift-pidfile --running",
    pages: &["swift-pidfile(1)", "swift-records(5)"],
};

/// How rows are looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    /// Whether pid files that lie are removed.
    pub clean: bool,
    /// Whether the start of what runs is read.
    pub start: bool,
    /// Whether what a unit of systemd owns is told apart.
    pub owned: bool,
}

/// What the command line says.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// How rows are looked at.
    pub manner: Manner,
    /// Whether only rows of what runs are to be written.
    pub running: bool,
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
        manner: Manner {
            clean: false,
            start: true,
            owned: false,
        },
        running: false,
        swift_dir: SWIFT_DIR.into(),
        quiet: false,
    };
    let mut args = Args::new(&TOOL, args);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Flag("help") => return Ok(Action::Help),
            Arg::Flag("version") => return Ok(Action::Version),
            Arg::Flag("clean") => options.manner.clean = true,
            Arg::Flag("no-start") => options.manner.start = false,
            Arg::Flag("owned") => options.manner.owned = true,
            Arg::Flag("running") => options.running = true,
            Arg::Flag("quiet") => options.quiet = true,
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
    fn options_are_flags() {
        let Ok(Action::Run(options)) = action(&["--clean", "-q", "--run"]) else {
            panic!("it can be understood");
        };
        assert!(options.manner.clean && options.manner.start);
        assert!(options.quiet && options.running);
        assert_eq!(action(&["-V"]), Ok(Action::Version));
    }

    #[test]
    fn names_are_no_rows() {
        let error = UsageError("rows come from standard input: 'main'".into());
        assert_eq!(action(&["main"]), Err(error));
    }
}
