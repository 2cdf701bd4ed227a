//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use swift_cli::text;
use swift_cli::{self as cli, Action, Arg, Args, Opt, Tool, UsageError};
use swift_server::process::Pid;

/// The table of options.
pub static TOOL: Tool = Tool {
    name: "swift-serve",
    usage: "[OPTION]... FILE [CONF [verbose]]",
    about: "Hold listen sockets, keep workers, reload without losing a connection.",
    options: &[
        Opt::flag(
            None,
            "test-config",
            "check FILE and CONF, and do nothing else",
        ),
        Opt::flag(
            Some('v'),
            "verbose",
            "stay on the terminal and log there (as the word verbose)",
        ),
        Opt::value(
            None,
            "status",
            "PID",
            "show generations and workers of a running server",
        ),
        cli::HELP,
        cli::VERSION,
    ],
    example: "",
    pages: &["swift-serve(1)", "swift-serve.toml(5)"],
};

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Job {
    /// Show how a running server is.
    Status(Pid),
    /// Check the file and the config.
    Check(Server),
    /// Serve.
    Serve(Server),
}

/// What is to be served.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The file that says how.
    pub file: PathBuf,
    /// The config.
    pub conf: Option<PathBuf>,
    /// Whether it logs to the terminal.
    pub verbose: bool,
}

/// Reads the arguments that follow the program's name.
pub fn parse(
    args: impl IntoIterator<Item = OsString, IntoIter: 'static>,
) -> Result<Action<Job>, UsageError> {
    let (mut check, mut verbose, mut status) = (false, false, None);
    let mut operands: Vec<OsString> = Vec::new();
    let mut args = Args::new(&TOOL, args);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Flag("help") => return Ok(Action::Help),
            Arg::Flag("version") => return Ok(Action::Version),
            Arg::Flag("test-config") => check = true,
            Arg::Flag("verbose") => verbose = true,
            Arg::Value("status", value) => {
                let bad = value.bad("process number");
                status = Some(Pid::parse(value.text()?.as_bytes()).ok_or(bad)?);
            }
            Arg::Operand(word) if operands.len() < 2 => operands.push(word),
            Arg::Operand(word) if word == OsStr::new("verbose") => verbose = true,
            Arg::Operand(word) => {
                let word = text::quote(word.as_encoded_bytes());
                return Err(UsageError(format!("cannot understand {word}")));
            }
            other => unreachable!("{other:?} is not in the table"),
        }
    }
    let mut operands = operands.into_iter();
    if let Some(pid) = status {
        return match operands.next() {
            None => Ok(Action::Run(Job::Status(pid))),
            Some(_) => Err(UsageError("--status goes with no FILE".into())),
        };
    }
    let Some(file) = operands.next() else {
        return Err(UsageError("a FILE is needed".into()));
    };
    let server = Server {
        file: file.into(),
        conf: operands.next().map(PathBuf::from),
        verbose,
    };
    Ok(Action::Run(match check {
        true => Job::Check(server),
        false => Job::Serve(server),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(args: &[&str]) -> Result<Action<Job>, UsageError> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        parse(args)
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
        test_helpers::documents::check(&TOOL, &[]);
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
