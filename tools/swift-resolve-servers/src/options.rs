//! The command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use swift_cli::text;
use swift_cli::{CommandLine, Exit, SwiftDir, Tool, UsageError};

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-resolve-servers",
    usage: "[OPTION]... [NAME]...",
    about: "Say which Swift servers could run, one row an instance. Without a NAME, names are\n\
            read from standard input.",
    example: "swift-resolve-servers rest | swift-pidfile --running",
    pages: &["swift-resolve-servers(1)", "swift-records(5)"],
    unable: Exit::Unable,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::value(Some('c'), "config-num", "N", |o| &mut o.number)
            .help("take only the Nth config of each server"),
        Opt::value(Some('r'), "run-dir", "DIR", |o| &mut o.run_dir)
            .help("where pid files lie (default /var/run/swift)"),
        Opt::flag(None, "list", |o| o.list = true).help("print what is known, one server a line"),
        Opt::swift_dir(|o| &mut o.swift_dir),
        Opt::quiet(|o| o.quiet = true),
        Opt::HELP,
        Opt::VERSION,
    ],
    operand: Options::operand,
    checked: Options::checked,
};

/// The command line.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// The words that name servers; none when they are to be read.
    pub names: Vec<String>,
    /// Which config is wanted, from 1.
    pub number: Option<NonZeroUsize>,
    /// The run directory, when it is not the catalogue's.
    pub run_dir: Option<PathBuf>,
    /// The swift directory.
    pub swift_dir: SwiftDir,
    /// True when servers and groups are to be listed.
    pub list: bool,
    /// True when rows are not to be repeated on standard error.
    pub quiet: bool,
}

impl Options {
    fn operand(&mut self, word: OsString) -> Result<(), UsageError> {
        let bad = |word: OsString| {
            let quoted = text::quote(word.as_encoded_bytes());
            UsageError(format!("not a server's name: {quoted}"))
        };
        self.names.push(word.into_string().map_err(bad)?);
        Ok(())
    }

    /// The options, when they go together. A server is known by its config's path, so that is the
    /// same wherever one stands. No link is resolved, and an absolute path stays as it is given.
    fn checked(mut self) -> Result<Options, UsageError> {
        if self.list && !self.names.is_empty() {
            return Err(UsageError("--list lists all servers".into()));
        }
        if !self.swift_dir.is_absolute() {
            let path = self.swift_dir.display();
            let bad = |e| UsageError(format!("option --swift-dir: {path}: {e}"));
            self.swift_dir = SwiftDir(std::path::absolute(&*self.swift_dir).map_err(bad)?);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_cli::Action;

    fn options(args: &[&str]) -> Result<Options, String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        match COMMAND_LINE.parse(args) {
            Ok(Action::Run(options)) => Ok(options),
            Ok(other) => panic!("{other:?}"),
            Err(UsageError(what)) => Err(what),
        }
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&COMMAND_LINE, &["all", "main", "rest"]);
    }

    #[test]
    fn options_stand_anywhere() {
        let options = options(&["main", "-qc2", "--run-dir=/r", "proxy", "--swift", "/s"]).unwrap();
        assert_eq!(options.names, ["main", "proxy"]);
        assert_eq!(
            (options.number, options.quiet),
            (NonZeroUsize::new(2), true)
        );
        assert_eq!(options.run_dir, Some("/r".into()));
        assert_eq!(options.swift_dir, SwiftDir("/s".into()));
    }

    #[test]
    fn config_numbers_begin_with_1() {
        assert_eq!(options(&["-c", "0"]).unwrap().number, None);
        assert_eq!(
            options(&["-c", "0x10"]).unwrap().number,
            NonZeroUsize::new(16)
        );
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
