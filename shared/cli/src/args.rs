//! A command line, read against a tool's table of options.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::options::{Opt, UsageError};
use super::tool::Tool;
use crate::closest::{closest, hint};
use crate::text;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HELP;

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
}
