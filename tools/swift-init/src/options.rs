//! The command line, which is the original's with a few options more.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use swift_cli::{CommandLine, Exit, SwiftDir, Tool, UsageError};

type Opt = swift_cli::Opt<Options>;

/// The tool.
pub static TOOL: Tool = Tool {
    name: "swift-init",
    usage: "[options] SERVER[.CONFIG] ... COMMAND",
    about: "\
Start, stop, look at and reload the servers of OpenStack Swift.

SERVER is a server (proxy, object-replicator), a group (main, rest, all) or a
glob ('object-*'). CONFIG is one of its configs: object.2 is that of
/etc/swift/object-server/2.conf.

It is a pipeline of swift-resolve-servers, swift-pidfile, swift-check-config,
swift-signal, swift-reload and swift-spawn. Each can be used alone.

Commands:
  start            start what does not run, and wait until it is ready
  stop             stop, and wait for the end
  status           show what runs, and what is down
  restart          stop and start
  force-reload     the same as reload
  reload           finish requests, and start anew
  reload-seamless  take up a new config under the same pid, and serve on
  shutdown         finish requests, and stop
  kill             stop; that nothing runs is no error
  once             let daemons do one pass
  no-wait          start, and do not wait until servers are ready
  no-daemon        start on this terminal, and stay",
    example: "swift-init main start\n\
              swift-init object.2 restart\n\
              swift-init proxy reload-seamless",
    pages: &["swift-init(1)", "swift-systemd(7)", "swift-records(5)"],
    unable: Exit::Failed,
};

/// The table of options.
pub static COMMAND_LINE: CommandLine<Options, Request> = CommandLine {
    tool: &TOOL,
    options: &[
        Opt::HELP,
        Opt::flag(Some('v'), "verbose", |o| o.verbose = true)
            .help("name the pid files that are removed"),
        Opt::flag(Some('w'), "no-wait", |o| o.no_wait = true)
            .help("do not wait until servers are ready"),
        Opt::flag(Some('o'), "once", |o| o.once = true).help("let daemons do one pass"),
        Opt::flag(Some('n'), "no-daemon", |o| o.foreground = true)
            .help("start servers on this terminal"),
        Opt::flag(Some('g'), "graceful", |o| o.graceful = true)
            .help("let servers finish their requests"),
        Opt::value(Some('c'), "config-num", "N", |o| &mut o.number)
            .help("act on the Nth config of each server"),
        Opt::value(Some('k'), "kill-wait", "N", |o| &mut o.kill_wait)
            .help("wait N seconds for servers to end (default 15)"),
        Opt::value(Some('r'), "run-dir", "DIR", |o| &mut o.run_dir)
            .help("keep pid files in DIR (default /var/run/swift)"),
        Opt::flag(None, "strict", |o| o.strict = Some(true)).help(
            "exit 1 if a config is missing, or with status\n\
             if an instance is down",
        ),
        Opt::flag(None, "non-strict", |o| o.strict = Some(false)).help(
            "exit 0 though a config is missing\n\
             (default for groups and globs)",
        ),
        Opt::flag(None, "kill-after-timeout", |o| o.kill_after_timeout = true)
            .help("kill what has not ended after the kill wait"),
        Opt::swift_dir(|o| &mut o.swift_dir),
        Opt::flag(None, "no-check", |o| o.no_check = true).help("do not check configs first"),
        Opt::value(None, "check-timeout", "S", |o| &mut o.check_timeout)
            .help("give a config check S seconds (default 60)"),
        Opt::value(None, "reload-timeout", "S", |o| &mut o.reload_timeout)
            .help("give a seamless reload S seconds (default 300)"),
        Opt::value(None, "start-timeout", "S", |o| &mut o.start_timeout)
            .help("stop what is not ready within S seconds"),
        Opt::flag(None, "force", |o| o.force = true)
            .help("stop and restart also what a systemd unit owns"),
        Opt::flag(None, "explain", |o| o.explain = true).help("print the pipeline, and do nothing"),
        Opt::VERSION,
    ],
    operand: Options::operand,
    checked: |options| Ok(request(options)),
};

/// The commands. Of two names for the same, the last one is its name.
pub const COMMANDS: &[(&str, Command)] = &[
    ("start", Command::Start),
    ("stop", Command::Stop),
    ("status", Command::Status),
    ("restart", Command::Restart),
    ("force-reload", Command::Reload),
    ("reload", Command::Reload),
    ("reload-seamless", Command::ReloadSeamless),
    ("shutdown", Command::Shutdown),
    ("kill", Command::Kill),
    ("once", Command::Once),
    ("no-wait", Command::NoWait),
    ("no-daemon", Command::NoDaemon),
];

/// The commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Stop, without an error when nothing runs.
    Kill,
    /// Start and keep the terminal.
    NoDaemon,
    /// Start and do not wait.
    NoWait,
    /// Start for one pass.
    Once,
    /// Stop gracefully, then start.
    Reload,
    /// Execute anew under the same PID.
    ReloadSeamless,
    /// Stop, then start.
    Restart,
    /// Stop gracefully.
    Shutdown,
    /// Start.
    Start,
    /// Report what runs.
    #[default]
    Status,
    /// Stop.
    Stop,
}

impl Command {
    /// The command of exactly that name.
    fn named(word: &str) -> Option<Command> {
        let found = COMMANDS.iter().find(|(name, _)| *name == word);
        found.map(|(_, command)| *command)
    }

    /// Its name; of two the one that is no alias.
    pub fn name(self) -> &'static str {
        let mut commands = COMMANDS.iter().rev();
        let found = commands.find(|(_, command)| *command == self);
        found.map_or("", |(name, _)| name)
    }

    /// True for a command that starts what does not run.
    pub fn starts(self) -> bool {
        match self {
            Command::Start | Command::Once | Command::NoWait | Command::NoDaemon => true,
            command => command.restarts(),
        }
    }

    /// True for a command that stops what runs.
    pub fn stops(self) -> bool {
        match self {
            Command::Stop | Command::Shutdown | Command::Kill => true,
            command => command.restarts(),
        }
    }

    /// True for a command that stops and starts.
    pub fn restarts(self) -> bool {
        matches!(self, Command::Restart | Command::Reload)
    }

    /// The command of that name, in any case and with underlines (get_command in manager.py).
    pub fn spelled(word: &str) -> Option<Command> {
        Command::named(&word.to_lowercase().replace('_', "-"))
    }
}

/// The request of a command line.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// Show the help and the error, both on standard output.
    Complain(String),
    /// The same for words of which neither the last nor the first is a command: they are the servers.
    Unknown(Box<Options>),
    /// Carry out a command.
    Do(Box<Options>),
}

/// A command and how it is to be carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The command.
    pub command: Command,
    /// Servers, groups and globs.
    pub servers: Vec<String>,
    /// Name what is removed.
    pub verbose: bool,
    /// Do not wait until servers are ready.
    pub no_wait: bool,
    /// Run daemons for one pass.
    pub once: bool,
    /// Start servers on this terminal, and stay.
    pub foreground: bool,
    /// Let requests finish.
    pub graceful: bool,
    /// The Nth config only.
    pub number: Option<NonZeroUsize>,
    /// Seconds that servers get to end, as written: they appear in messages.
    pub kill_wait: Option<i64>,
    /// Where pid files lie.
    pub run_dir: Option<PathBuf>,
    /// Make a missing config an error, or none.
    pub strict: Option<bool>,
    /// Kill what does not end in time.
    pub kill_after_timeout: bool,
    /// Where configs lie.
    pub swift_dir: SwiftDir,
    /// Do not check configs first.
    pub no_check: bool,
    /// The timeout of such a check.
    pub check_timeout: Option<Duration>,
    /// The timeout of a seamless reload.
    pub reload_timeout: Option<Duration>,
    /// The time in which a server has to be ready.
    pub start_timeout: Option<Duration>,
    /// Act also on what a unit of systemd owns.
    pub force: bool,
    /// Only print the pipeline.
    pub explain: bool,
    /// Stay as long as the servers run. No option: set when there is a service manager.
    pub supervise: bool,
}

impl Options {
    fn operand(&mut self, word: OsString) -> Result<(), UsageError> {
        self.servers.push(word.to_string_lossy().into_owned());
        Ok(())
    }

    /// A command's own meaning, as if it had been said with options.
    fn imply(&mut self) {
        match self.command {
            Command::NoDaemon => self.foreground = true,
            Command::NoWait => self.no_wait = true,
            Command::Once => self.once = true,
            Command::Reload | Command::Shutdown => self.graceful = true,
            Command::ReloadSeamless => self.graceful = false,
            _ => {}
        }
    }
}

/// Parts the words into servers and command. The command stands last or first. Where both could be
/// one, that counts which is spelled exactly, and of two such the last, as in the original; which
/// does not find a command that comes first in another spelling.
fn request(mut options: Options) -> Request {
    let [first, .., last] = &options.servers[..] else {
        return Request::Complain("specify server(s) and command".into());
    };
    let end = options.servers.len() - 1;
    let readings = [
        (Command::named(last), end),
        (Command::named(first), 0),
        (Command::spelled(last), end),
        (Command::spelled(first), 0),
    ];
    let mut readings = readings.into_iter();
    let Some((command, at)) = readings.find_map(|(command, at)| Some((command?, at))) else {
        return Request::Unknown(Box::new(options));
    };
    options.servers.remove(at);
    options.command = command;
    options.imply();
    Request::Do(Box::new(options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_cli::Action;

    fn read(line: &str) -> Result<Request, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match COMMAND_LINE.parse(words) {
            Ok(Action::Run(request)) => Ok(request),
            Ok(other) => panic!("{other:?}"),
            Err(UsageError(what)) => Err(what),
        }
    }

    fn options(line: &str) -> Options {
        match read(line) {
            Ok(Request::Do(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_option_is_documented() {
        let commands = COMMANDS.iter().map(|(name, _)| *name);
        let help = COMMAND_LINE.help();
        for name in commands.clone() {
            assert!(help.contains(&format!("\n  {name:15}  ")), "{name}");
        }
        let words: Vec<&str> = commands.chain(["all", "main", "rest"]).collect();
        test_helpers::documents::check(&COMMAND_LINE, &words);
    }

    #[test]
    fn the_command_stands_last_or_first() {
        assert_eq!(options("main status").command, Command::Status);
        assert_eq!(options("start main").command, Command::Start);
        assert_eq!(options("start main").servers, ["main"]);
        assert_eq!(options("start object proxy").servers, ["object", "proxy"]);
        assert_eq!(
            options("main RELOAD_Seamless").command,
            Command::ReloadSeamless
        );
        assert_eq!(options("stop start").command, Command::Start);
    }

    #[test]
    fn a_command_is_spelled_in_any_case_and_stands_at_either_end() {
        for (line, command, servers) in [
            ("STATUS proxy", Command::Status, &["proxy"][..]),
            ("proxy STATUS", Command::Status, &["proxy"]),
            ("Reload_Seamless a b", Command::ReloadSeamless, &["a", "b"]),
            (
                "-v a --strict b FORCE_reload -c2",
                Command::Reload,
                &["a", "b"],
            ),
            (
                "-v NO_DAEMON --strict a -c2 b",
                Command::NoDaemon,
                &["a", "b"],
            ),
            // What the original reads one way is not read another way.
            ("stop STATUS", Command::Stop, &["STATUS"]),
            ("STOP status", Command::Status, &["STOP"]),
            ("STOP STATUS", Command::Status, &["STOP"]),
        ] {
            let options = options(line);
            assert_eq!(
                (options.command, &options.servers[..]),
                (
                    command,
                    &servers.iter().map(|s| s.to_string()).collect::<Vec<_>>()[..]
                ),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_complained_of() {
        for (line, what) in [
            ("", "specify server(s) and command"),
            ("main", "specify server(s) and command"),
        ] {
            assert_eq!(read(line), Ok(Request::Complain(what.into())));
        }
        let unknown = Options {
            servers: vec!["main".into(), "nonsense".into()],
            ..Options::default()
        };
        assert_eq!(
            read("main nonsense"),
            Ok(Request::Unknown(Box::new(unknown)))
        );
    }

    #[test]
    fn commands_imply_options() {
        assert!(options("main no-daemon").foreground);
        assert!(options("main no-wait").no_wait);
        assert!(options("main once").once);
        assert!(options("main shutdown").graceful);
        assert!(!options("-g main reload-seamless").graceful);
        assert!(options("-g main stop").graceful);
    }

    #[test]
    fn the_last_of_two_wins() {
        assert_eq!(
            options("-c1 -c 2 main status --strict --non-strict").number,
            NonZeroUsize::new(2)
        );
        assert_eq!(
            options("--strict --non-strict main start").strict,
            Some(false)
        );
        assert_eq!(options("-c 0 main start").number, None);
    }

    #[test]
    fn bad_numbers_are_usage_errors() {
        assert_eq!(
            read("-c -1 a b").unwrap_err(),
            "option -c: invalid config number: '-1'"
        );
        assert_eq!(
            read("-k x a b").unwrap_err(),
            "option -k: invalid integer value: 'x'"
        );
    }
}
