//! The command line.

use swift_cli::{CommandLine, Exit, SwiftDir, Tool, no_operand};

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-pidfile",
    usage: "[OPTION]... < ROWS",
    about: "Say which Swift servers run, from pid files and /proc.",
    example: "swift-resolve-servers all | swift-pidfile --running",
    pages: &["swift-pidfile(1)", "swift-records(5)"],
    unable: Exit::Unable,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::flag(None, "clean", |o| o.mode.clean = true).help("remove stale or invalid pid files"),
        Opt::flag(None, "no-start", |o| o.mode.no_start = true)
            .help("leave out when what runs was started"),
        Opt::flag(None, "owned", |o| o.mode.owned = true)
            .help("tell apart what a unit of systemd owns"),
        Opt::flag(None, "running", |o| o.running = true).help("write only the rows of what runs"),
        Opt::swift_dir(|o| &mut o.swift_dir),
        Opt::quiet(|o| o.quiet = true),
        Opt::HELP,
        Opt::VERSION,
    ],
    operand: no_operand,
    checked: Ok,
};

/// How rows are examined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mode {
    /// Remove stale and invalid pid files.
    pub clean: bool,
    /// True when the start of what runs is left out.
    pub no_start: bool,
    /// Tell apart what a unit of systemd owns.
    pub owned: bool,
}

/// The command line's options.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// How rows are examined.
    pub mode: Mode,
    /// Write only rows of what runs.
    pub running: bool,
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
    fn options_are_flags() {
        let Ok(Action::Run(options)) = action(&["--clean", "-q", "--run"]) else {
            panic!("it can be understood");
        };
        assert!(options.mode.clean && !options.mode.no_start);
        assert!(options.quiet && options.running);
        assert_eq!(action(&["-V"]), Ok(Action::Version));
    }

    #[test]
    fn names_are_no_rows() {
        let error = UsageError("rows come from standard input: 'main'".into());
        assert_eq!(action(&["main"]), Err(error));
    }
}
