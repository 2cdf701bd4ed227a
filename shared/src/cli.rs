//! What every tool's command line has in common: one table of options from
//! which parsing, `--help`, completions and the manual page's test are fed,
//! exit statuses, and the form of messages.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, Termination};
use std::time::Duration;

use anyhow::Context as _;

use crate::closest::{closest, hint};
use crate::text;

/// One option of a tool.
#[derive(Debug)]
pub struct Opt {
    /// The letter, where it has one.
    pub short: Option<char>,
    /// The long name without its dashes.
    pub long: &'static str,
    /// What its value is called in `--help`, where it takes one.
    pub value: Option<&'static str>,
    /// What it does, in one line that begins with a small letter.
    pub help: &'static str,
}

impl Opt {
    /// An option without a value.
    pub const fn flag(short: Option<char>, long: &'static str, help: &'static str) -> Opt {
        Opt {
            short,
            long,
            value: None,
            help,
        }
    }

    /// An option with a value.
    pub const fn value(
        short: Option<char>,
        long: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Opt {
        Opt {
            short,
            long,
            value: Some(value),
            help,
        }
    }
}

/// `-h`, which every tool has.
pub const HELP: Opt = Opt::flag(Some('h'), "help", "show this help and exit");
/// `-V`, which every tool has.
pub const VERSION: Opt = Opt::flag(Some('V'), "version", "show the version and exit");
/// `--swift-dir`, which every tool has: the site's own catalogue lies there.
pub const SWIFT_DIR: Opt = Opt::value(
    None,
    "swift-dir",
    "DIR",
    "where configs and swift-init.toml lie (default /etc/swift)",
);
/// `-q`, which every tool has that writes rows.
pub const QUIET: Opt = Opt::flag(
    Some('q'),
    "quiet",
    "do not repeat on stderr what the rows say",
);

/// What a tool is called, and what it takes.
#[derive(Debug)]
pub struct Tool {
    /// The program's name.
    pub name: &'static str,
    /// What follows the name in the usage line.
    pub usage: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its options.
    pub options: &'static [Opt],
    /// A line of shell that shows it at work, as its manual page has it; empty for none.
    pub example: &'static str,
    /// The manual pages that say more, such as `swift-records(5)`.
    pub pages: &'static [&'static str],
}

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Action<T> {
    /// Show the help.
    Help,
    /// Show the version.
    Version,
    /// Do the tool's job.
    Run(T),
}

/// A command line that cannot be understood; the message is one line.
#[derive(Debug, PartialEq)]
pub struct UsageError(pub String);

/// One argument.
#[derive(Debug, PartialEq)]
pub enum Arg {
    /// An option without a value, by its long name.
    Flag(&'static str),
    /// An option with its value, by its long name.
    Value(&'static str, Value),
    /// Anything that is no option.
    Operand(OsString),
}

/// An option's value, which knows the option's name for its messages.
#[derive(Debug, PartialEq)]
pub struct Value {
    option: String,
    raw: OsString,
}

impl Value {
    /// The value as a path; an empty one is refused.
    pub fn path(self) -> Result<PathBuf, UsageError> {
        if self.raw.is_empty() {
            Err(self.bad("path"))
        } else {
            Ok(self.raw.into())
        }
    }

    /// The value as text.
    pub fn text(self) -> Result<String, UsageError> {
        self.raw
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| self.bad("text"))
    }

    /// The value as seconds, of which there can be fractions.
    pub fn seconds(self) -> Result<Duration, UsageError> {
        let seconds = self.raw.to_str().and_then(|s| s.parse::<f64>().ok());
        seconds
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .ok_or_else(|| self.bad("number of seconds"))
    }

    /// The value as a whole number, written as Python's optparse reads it:
    /// decimal, `0x2`, `0b11`, and octal with a leading 0.
    pub fn integer(self) -> Result<i64, UsageError> {
        self.raw
            .to_str()
            .and_then(integer)
            .ok_or_else(|| self.bad("integer value"))
    }

    /// The value as a file descriptor's number.
    pub fn descriptor(self) -> Result<i32, UsageError> {
        let number = self.raw.to_str().and_then(|s| s.parse().ok());
        number
            .filter(|n| *n >= 0)
            .ok_or_else(|| self.bad("file descriptor"))
    }

    /// The error that this option's value is not what it should be.
    pub fn bad(&self, what: &str) -> UsageError {
        UsageError(format!(
            "option {}: invalid {what}: {}",
            self.option,
            text::quote(self.raw.as_bytes())
        ))
    }
}

/// A number as `_parse_num` in optparse.py takes it: what it begins with says the base, and a sign or
/// a blank in front of that makes it decimal.
fn integer(text: &str) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    match text.as_bytes() {
        [b'0', b'x', ..] => python_int(&text, 16, "0x"),
        b"0b" => Some(0),
        [b'0', b'b', ..] => python_int(&text[2..], 2, "0b"),
        [b'0', ..] => python_int(&text, 8, "0o"),
        _ => python_int(&text, 10, ""),
    }
}

/// `int(text, base)` of Python: blanks around it, a sign, the base's prefix, and single underscores
/// before digits.
fn python_int(text: &str, base: u32, prefix: &str) -> Option<i64> {
    let text = text.trim();
    let sign = if text.starts_with('-') { "-" } else { "" };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = match digits.strip_prefix(prefix) {
        Some(bare) if !prefix.is_empty() => bare.strip_prefix('_').unwrap_or(bare),
        _ => digits,
    };
    let are_digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_digit(base));
    if !digits.split('_').all(are_digits) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), base).ok()
}

/// The arguments of a tool, read against its table. Options may stand
/// anywhere, `--` ends them, unique prefixes of long options do, and short ones
/// cluster.
pub struct Args {
    parser: lexopt::Parser,
    options: &'static [Opt],
    /// Whether the first operand ends the options, for a tool that runs a command.
    pub operands_end_options: bool,
}

impl Args {
    /// Reads `args`, which do not hold the program's own name.
    pub fn new<I>(tool: &Tool, args: I) -> Args
    where
        I: IntoIterator<Item = OsString>,
        I::IntoIter: 'static,
    {
        let parser = lexopt::Parser::from_args(args);
        Args {
            parser,
            options: tool.options,
            operands_end_options: false,
        }
    }

    /// The next argument, or none when all are read.
    #[expect(
        clippy::should_implement_trait,
        reason = "it can fail, as lexopt's own next does"
    )]
    pub fn next(&mut self) -> Result<Option<Arg>, UsageError> {
        let (spelled, opt) = match self.parser.next().map_err(|e| UsageError(e.to_string()))? {
            None => return Ok(None),
            Some(lexopt::Arg::Value(operand)) => return Ok(Some(Arg::Operand(operand))),
            Some(lexopt::Arg::Short(letter)) => {
                let opt = self.options.iter().find(|o| o.short == Some(letter));
                (
                    format!("-{letter}"),
                    opt.ok_or_else(|| UsageError(format!("no such option: -{letter}")))?,
                )
            }
            Some(lexopt::Arg::Long(name)) => {
                let opt = find_long(self.options, name)?;
                (format!("--{}", opt.long), opt)
            }
        };
        let value = match opt.value {
            Some(_) => Some(
                self.parser
                    .value()
                    .map_err(|_| UsageError(format!("{spelled} option requires 1 argument")))?,
            ),
            // Only a long option can have been given a value with =; after a
            // short one, the rest of the word is more options.
            None if spelled.starts_with("--") && self.parser.optional_value().is_some() => {
                return Err(UsageError(format!(
                    "{spelled} option does not take a value"
                )));
            }
            None => None,
        };
        Ok(Some(match value {
            Some(raw) => Arg::Value(
                opt.long,
                Value {
                    option: spelled,
                    raw,
                },
            ),
            None => Arg::Flag(opt.long),
        }))
    }
}

fn find_long(options: &'static [Opt], name: &str) -> Result<&'static Opt, UsageError> {
    if let Some(exact) = options.iter().find(|o| o.long == name) {
        return Ok(exact);
    }
    let mut matches: Vec<&Opt> = options
        .iter()
        .filter(|o| o.long.starts_with(name))
        .collect();
    match matches.len() {
        0 => {
            let meant = closest(name, options.iter().map(|o| o.long));
            let meant = meant.map(|long| format!("--{long}"));
            let hint = hint(meant.as_deref());
            Err(UsageError(format!("no such option: --{name}{hint}")))
        }
        1 => Ok(matches[0]),
        _ => {
            matches.sort_by_key(|o| o.long);
            let names: Vec<String> = matches.iter().map(|o| format!("--{}", o.long)).collect();
            Err(UsageError(format!(
                "ambiguous option: --{name} ({}?)",
                names.join(", ")
            )))
        }
    }
}

impl Tool {
    /// What `--help` shows.
    pub fn help(&self) -> String {
        let mut out = format!(
            "Usage: {} {}\n\n{}\n\nOptions:\n",
            self.name, self.usage, self.about
        );
        let left: Vec<String> = self.options.iter().map(Opt::spelling).collect();
        let width = left.iter().map(String::len).max().unwrap_or(0);
        for (left, opt) in left.iter().zip(self.options) {
            out.push_str(&format!("  {left:width$}  {}\n", opt.help));
        }
        if !self.example.is_empty() {
            out.push_str(&format!("\nExample:\n  {}\n", self.example));
        }
        if !self.pages.is_empty() {
            out.push_str(&format!("\nSee {}.\n", self.pages.join(", ")));
        }
        out
    }

    /// What `--version` shows: the name and the version of all tools.
    pub fn version(&self) -> String {
        format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION"))
    }

    /// Runs a tool from its parsed command line: shows help or version, or
    /// does the job, and turns the outcome into an exit status. Errors are one
    /// line on standard error.
    pub fn main<T>(
        &self,
        action: Result<Action<T>, UsageError>,
        run: impl FnOnce(T) -> anyhow::Result<Exit>,
    ) -> Exit {
        self.main_with(action, run, Exit::Failed)
    }

    /// The same for a tool that observes. When it cannot do its job, rows are
    /// missing, and whoever acts on the others has to be able to tell that from
    /// a failure which is a row.
    pub fn main_of_observer<T>(
        &self,
        action: Result<Action<T>, UsageError>,
        run: impl FnOnce(T) -> anyhow::Result<Exit>,
    ) -> Exit {
        self.main_with(action, run, Exit::Unable)
    }

    fn main_with<T>(
        &self,
        action: Result<Action<T>, UsageError>,
        run: impl FnOnce(T) -> anyhow::Result<Exit>,
        unable: Exit,
    ) -> Exit {
        crate::sys::signals::keep_children();
        let outcome = match action {
            Ok(Action::Help) => show(&self.help()),
            Ok(Action::Version) => show(&self.version()),
            Ok(Action::Run(options)) => run(options),
            Err(UsageError(what)) => {
                self.say(&format!("{what} (see {} --help)", self.name));
                return Exit::Usage;
            }
        };
        outcome.unwrap_or_else(|error| {
            // A reader that is gone has said all there is to say.
            let gone = is_broken_pipe(&error);
            if !gone {
                self.say(&text::without_numbers(&format!("{error:#}")));
            }
            let exit = error.downcast_ref::<Exit>().copied();
            exit.unwrap_or(if gone { Exit::Failed } else { unable })
        })
    }

    /// Prints one line on standard error, in the grammar of all messages:
    /// the tool's name, a colon, what is the matter.
    pub fn say(&self, what: &str) {
        let what = text::one_line(what.as_bytes());
        let line = format!("{}: {}\n", self.name, text::without_long_words(&what));
        // Nobody is left to be told when standard error is gone.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

impl Opt {
    /// The option as help shows it: `-c N, --config-num=N`.
    pub fn spelling(&self) -> String {
        let long = match self.value {
            Some(value) => format!("--{}={value}", self.long),
            None => format!("--{}", self.long),
        };
        match (self.short, self.value) {
            (Some(short), Some(value)) => format!("-{short} {value}, {long}"),
            (Some(short), None) => format!("-{short}, {long}"),
            (None, _) => long,
        }
    }
}

/// Writes text on standard output, at once.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    crate::sys::entry::need_output()
        .and_then(|()| out.write_all(text.as_bytes()))
        .and_then(|()| out.flush())
        .context(UNWRITABLE)
}

/// What cannot be done when standard output is full.
pub const UNWRITABLE: &str = "cannot write standard output";

fn show(text: &str) -> anyhow::Result<Exit> {
    print(text)?;
    Ok(Exit::Ok)
}

/// Whether an error means that the reader of our output is gone.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The exit statuses of all tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: something failed, and a row or a message says what.
    Failed,
    /// 2: the command line or an input line could not be understood.
    Usage,
    /// 3: a tool that observes could not do its job, so rows may be missing.
    Unable,
    /// 238: the reload did not come to its end in time (128 + ETIMEDOUT, as
    /// Swift's own swift-reload exits).
    TimedOut,
}

impl Exit {
    /// The graver of two: a bad line outweighs a failure, which outweighs success.
    pub fn and(self, other: Exit) -> Exit {
        if self.status() >= other.status() {
            self
        } else {
            other
        }
    }

    /// The number that the shell sees.
    pub const fn status(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unable => 3,
            Exit::TimedOut => 238,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.status())
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {}", self.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TOOL: Tool = Tool {
        name: "swift-x",
        usage: "[options] NAME",
        about: "Does x.",
        options: &[
            HELP,
            Opt::flag(Some('v'), "verbose", "say more"),
            Opt::flag(None, "no-wait", "do not wait"),
            Opt::flag(None, "no-daemon", "stay"),
            Opt::value(Some('c'), "config-num", "N", "the Nth"),
        ],
        example: "swift-x | cat",
        pages: &["swift-x(1)", "swift-records(5)"],
    };

    fn parse(words: &[&str]) -> Result<Vec<Arg>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut args = Args::new(&TOOL, words);
        let mut all = Vec::new();
        while let Some(arg) = args.next().map_err(|e| e.0)? {
            all.push(arg);
        }
        Ok(all)
    }

    #[test]
    fn clusters_prefixes_and_operands_anywhere() {
        let all = parse(&["a", "-vc2", "b", "--conf=3", "--", "-v"]).unwrap();
        assert_eq!(all.len(), 6);
        assert_eq!(all[1], Arg::Flag("verbose"));
        let Arg::Value("config-num", _) = all[2] else {
            panic!("{all:?}")
        };
        assert_eq!(all[5], Arg::Operand("-v".into()));
    }

    #[test]
    fn messages_are_those_of_optparse() {
        for (words, what) in [
            (
                &["--no"][..],
                "ambiguous option: --no (--no-daemon, --no-wait?)",
            ),
            (&["--zork"], "no such option: --zork"),
            (
                &["--vrebose"],
                "no such option: --vrebose (did you mean --verbose?)",
            ),
            (&["-z"], "no such option: -z"),
            (&["-c"], "-c option requires 1 argument"),
            (&["--verbose=1"], "--verbose option does not take a value"),
        ] {
            assert_eq!(parse(words), Err(what.to_owned()));
        }
        let mut all = parse(&["-cx"]).unwrap();
        let Some(Arg::Value(_, value)) = all.pop() else {
            panic!()
        };
        assert_eq!(
            value.integer(),
            Err(UsageError("option -c: invalid integer value: 'x'".into()))
        );
    }

    #[test]
    fn numbers_are_read_as_optparse_reads_them() {
        for (text, value) in [
            ("2", Some(2)),
            ("0x2", Some(2)),
            ("0b11", Some(3)),
            ("04", Some(4)),
            ("0", Some(0)),
            ("-3", Some(-3)),
            ("-010", Some(-10)),
            (" 010 ", Some(10)),
            ("0o17", Some(15)),
            ("1_000", Some(1000)),
            ("0x_f", Some(15)),
            ("0b", Some(0)),
            ("08", None),
            ("0x-5", None),
            ("-0x5", None),
            ("1__0", None),
            ("", None),
            ("1.5", None),
            ("--3", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }

    #[test]
    fn the_graver_exit_status_wins() {
        assert_eq!(Exit::Failed.and(Exit::Ok), Exit::Failed);
        assert_eq!(Exit::Failed.and(Exit::Usage), Exit::Usage);
    }
}
