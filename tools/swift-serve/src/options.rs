//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use swift_cli::text;
use swift_cli::{CommandLine, Exit, Tool, UsageError};
use swift_server::process::Pid;

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-serve",
    usage: "[OPTION]... FILE [CONF [verbose]]",
    about: "Hold listen sockets, keep workers, reload without losing a connection.",
    example: "",
    pages: &["swift-serve(1)", "swift-serve.toml(5)"],
    unable: Exit::Failed,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options, Job> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::flag(None, "test-config", |o| o.check = true)
            .help("check FILE and CONF, and do nothing else"),
        Opt::flag(Some('v'), "verbose", |o| o.verbose = true)
            .help("stay on the terminal and log there (as the word verbose)"),
        Opt::value(None, "status", "PID", |o| &mut o.status)
            .help("show generations and workers of a running server"),
        Opt::HELP,
        Opt::VERSION,
    ],
    operand: Options::operand,
    checked: Options::job,
};

/// The task.
#[derive(Debug, PartialEq)]
pub enum Job {
    /// Show how a running server is.
    Status(Pid),
    /// Check the file and the config.
    Check(Server),
    /// Serve.
    Serve(Server),
}

/// The server to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The file with its settings.
    pub file: PathBuf,
    /// The config.
    pub conf: Option<PathBuf>,
    /// True when it logs to the terminal.
    pub verbose: bool,
}

/// The command line's options.
#[derive(Debug, Default)]
pub struct Options {
    check: bool,
    verbose: bool,
    status: Option<Pid>,
    file: Option<PathBuf>,
    conf: Option<PathBuf>,
}

impl Options {
    fn operand(&mut self, word: OsString) -> Result<(), UsageError> {
        if self.file.is_none() {
            self.file = Some(word.into());
        } else if self.conf.is_none() {
            self.conf = Some(word.into());
        } else if word == "verbose" {
            self.verbose = true;
        } else {
            let word = text::quote(word.as_encoded_bytes());
            return Err(UsageError(format!("cannot understand {word}")));
        }
        Ok(())
    }

    fn job(self) -> Result<Job, UsageError> {
        let (conf, verbose) = (self.conf, self.verbose);
        match (self.status, self.file) {
            (Some(pid), None) => Ok(Job::Status(pid)),
            (Some(_), Some(_)) => Err(UsageError("--status goes with no FILE".into())),
            (None, None) => Err(UsageError("a FILE is needed".into())),
            (None, Some(file)) => {
                let job = if self.check { Job::Check } else { Job::Serve };
                Ok(job(Server {
                    file,
                    conf,
                    verbose,
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_cli::Action;

    fn job(args: &[&str]) -> Result<Action<Job>, UsageError> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        COMMAND_LINE.parse(args)
    }

    fn server(verbose: bool) -> Server {
        Server {
            file: "f".into(),
            conf: Some("c".into()),
            verbose,
        }
    }

    #[test]
    fn every_option_is_documented() {
        test_helpers::documents::check(&COMMAND_LINE, &[]);
    }

    #[test]
    fn it_is_called_as_swifts_servers_are() {
        assert_eq!(job(&["f", "c"]), Ok(Action::Run(Job::Serve(server(false)))));
        assert_eq!(
            job(&["f", "c", "verbose"]),
            Ok(Action::Run(Job::Serve(server(true))))
        );
        assert_eq!(
            job(&["f", "c", "--test-config"]),
            Ok(Action::Run(Job::Check(server(false))))
        );
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (args, what) in [
            (&[][..], "a FILE is needed"),
            (&["f", "c", "x"], "cannot understand 'x'"),
            (&["--status", "1", "f"], "--status goes with no FILE"),
            (
                &["--status=0"],
                "option --status: invalid process number: '0'",
            ),
        ] {
            assert_eq!(job(args), Err(UsageError(what.into())));
        }
    }
}
