//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use swift_cli::text;
use swift_cli::{self as cli, Action, Arg, Args, Opt, Tool, UsageError, Value};
use swift_records::catalogue::SWIFT_DIR;

/// The table of options.
pub static TOOL: Tool = Tool {
    name: "swift-resolve-servers",
    usage: "[OPTION]... [NAME]...",
    about: "Say which Swift servers could run, one row an instance. Without a NAME, names are\n\
            read from standard input.",
    options: &[
        Opt::value(
            Some('c'),
            "config-num",
            "N",
            "take only the Nth config of each server",
        ),
        Opt::value(
            Some('r'),
            "run-dir",
            "DIR",
            "where pid files lie (default /var/run/swift)",
        ),
        Opt::flag(None, "list", "print what is known, one server a line"),
        cli::SWIFT_DIR,
        cli::QUIET,
        cli::HELP,
        cli::VERSION,
    ],
    example: "swift-resolve-servers rest | swift-pidfile --running",
    pages: &["swift-resolve-servers(1)", "swift-records(5)"],
};

/// What the command line says.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// The words that name servers; none when they are to be read.
    pub names: Vec<String>,
    /// Which config is wanted, from 1.
    pub number: Option<usize>,
    /// The run directory, when it is not the catalogue's.
    pub run_dir: Option<PathBuf>,
    /// The swift directory.
    pub swift_dir: PathBuf,
    /// Whether what is known is to be listed.
    pub list: bool,
    /// Whether rows are not to be repeated on standard error.
    pub quiet: bool,
}

/// Reads the arguments that follow the program's name.
pub fn parse(
    args: impl IntoIterator<Item = OsString, IntoIter: 'static>,
) -> Result<Action<Options>, UsageError> {
    let mut options = Options {
        names: Vec::new(),
        number: None,
        run_dir: None,
        swift_dir: SWIFT_DIR.into(),
        list: false,
        quiet: false,
    };
    let mut args = Args::new(&TOOL, args);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Flag("help") => return Ok(Action::Help),
            Arg::Flag("version") => return Ok(Action::Version),
            Arg::Flag("list") => options.list = true,
            Arg::Flag("quiet") => options.quiet = true,
            Arg::Value("config-num", value) => {
                let bad = value.bad("config number");
                // 0 asks for every config, as in the original.
                let number = usize::try_from(value.integer()?).map_err(|_| bad)?;
                options.number = Some(number).filter(|n| *n > 0);
            }
            Arg::Value("run-dir", value) => options.run_dir = Some(value.path()?),
            Arg::Value("swift-dir", value) => options.swift_dir = absolute(value)?,
            Arg::Operand(word) => options.names.push(name(word)?),
            other => unreachable!("{other:?} is not in the table"),
        }
    }
    if options.list && !options.names.is_empty() {
        return Err(UsageError("--list lists all servers".into()));
    }
    Ok(Action::Run(options))
}

/// A server is known by its config's path, so that is the same wherever one
/// stands. No link is resolved, and an absolute path stays as it is given.
fn absolute(value: Value) -> Result<PathBuf, UsageError> {
    let path = value.path()?;
    if path.is_absolute() {
        return Ok(path);
    }
    std::path::absolute(&path)
        .map_err(|e| UsageError(format!("option --swift-dir: {}: {e}", path.display())))
}

fn name(word: OsString) -> Result<String, UsageError> {
    word.into_string().map_err(|word| {
        let word = text::quote(word.as_encoded_bytes());
        UsageError(format!("not a server's name: {word}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        match parse(args) {
            Ok(Action::Run(options)) => Ok(options),
            Ok(other) => panic!("{other:?}"),
            Err(UsageError(what)) => Err(what),
        }
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&TOOL, &["all", "main", "rest"]);
    }

    #[test]
    fn options_stand_anywhere() {
        let options = options(&["main", "-qc2", "--run-dir=/r", "proxy", "--swift", "/s"]).unwrap();
        assert_eq!(options.names, ["main", "proxy"]);
        assert_eq!((options.number, options.quiet), (Some(2), true));
        assert_eq!(options.run_dir, Some("/r".into()));
        assert_eq!(options.swift_dir, PathBuf::from("/s"));
    }

    #[test]
    fn config_numbers_begin_with_1() {
        assert_eq!(options(&["-c", "0"]).unwrap().number, None);
        assert_eq!(options(&["-c", "0x10"]).unwrap().number, Some(16));
        assert_eq!(
            options(&["-c", "-1"]).unwrap_err(),
            "option -c: invalid config number: '-1'"
        );
        assert_eq!(
            options(&["--config-num=x"]).unwrap_err(),
            "option --config-num: invalid integer value: 'x'"
        );
    }

    #[test]
    fn a_list_is_of_all() {
        assert!(options(&["--list"]).unwrap().list);
        assert_eq!(
            options(&["--list", "main"]).unwrap_err(),
            "--list lists all servers"
        );
    }
}
