//! A command line, read against the table of options.

use std::ffi::OsString;

use crate::closest::{closest, hint};
use crate::exit::Exit;
use crate::options::{Effect, Flag, Opt, PlaceOf};
use crate::text;
use crate::tool::{Action, Tool};
use crate::value::{UsageError, Value};

/// A tool's command line, which is read into an `O`, from which a `T` is made.
#[derive(Debug)]
pub struct CommandLine<O: 'static, T = O> {
    /// The tool.
    pub tool: &'static Tool,
    /// Its options.
    pub options: &'static [Opt<O>],
    /// Takes a word that is no option.
    pub operand: fn(&mut O, OsString) -> Result<(), UsageError>,
    /// Checks that the options go together, and makes the tool's task of them.
    pub checked: fn(O) -> Result<T, UsageError>,
}

/// Refuses every operand, for a tool that reads rows.
pub fn no_operand<O>(_: &mut O, word: OsString) -> Result<(), UsageError> {
    let word = text::quote(word.as_encoded_bytes());
    Err(UsageError(format!("rows come from standard input: {word}")))
}

impl<O: Default, T> CommandLine<O, T> {
    /// The program, from its arguments to its exit status.
    pub fn main(&self, run: impl FnOnce(T) -> anyhow::Result<Exit>) -> Exit {
        let action = self.parse(std::env::args_os().skip(1));
        self.tool.main(action, run)
    }

    /// Reads the arguments that follow the program's name.
    pub fn parse<I>(&self, args: I) -> Result<Action<T>, UsageError>
    where
        I: IntoIterator<Item = OsString, IntoIter: 'static>,
    {
        let mut options = O::default();
        for arg in self.args(args) {
            match arg? {
                Arg::Flag(_, Flag::Help) => return Ok(Action::Help(self.help())),
                Arg::Flag(_, Flag::Version) => return Ok(Action::Version),
                Arg::Flag(_, Flag::Set(set)) => set(&mut options),
                Arg::Value(_, place, value) => place(&mut options).put(value)?,
                Arg::Operand(word) => (self.operand)(&mut options, word)?,
            }
        }
        (self.checked)(options).map(Action::Run)
    }
}

impl<O, T> CommandLine<O, T> {
    /// The text of `--help`.
    pub fn help(&self) -> String {
        let tool = self.tool;
        let mut out = format!(
            "Usage: {} {}\n\n{}\n\nOptions:\n",
            tool.name, tool.usage, tool.about
        );
        let left: Vec<String> = self.options.iter().map(Opt::spelling).collect();
        let width = left.iter().map(String::len).max().unwrap_or(0);
        for (left, opt) in left.iter().zip(self.options) {
            let mut lines = opt.help.lines();
            let first = lines.next().unwrap_or_default();
            out.push_str(&format!("  {left:width$}  {first}\n"));
            for line in lines {
                out.push_str(&format!("  {:width$}  {line}\n", ""));
            }
        }
        if !tool.example.is_empty() {
            let what = match tool.example.contains('\n') {
                true => "Examples",
                false => "Example",
            };
            out.push_str(&format!("\n{what}:\n"));
            for line in tool.example.lines() {
                out.push_str(&format!("  {line}\n"));
            }
        }
        if !tool.pages.is_empty() {
            out.push_str(&format!("\nSee {}.\n", tool.pages.join(", ")));
        }
        out
    }

    /// The arguments one by one. Options may stand anywhere, `--` ends them, unique prefixes of long
    /// options do, and short ones cluster.
    pub fn args<I>(&self, args: I) -> Args<O>
    where
        I: IntoIterator<Item = OsString, IntoIter: 'static>,
    {
        Args {
            parser: lexopt::Parser::from_args(args),
            options: self.options,
        }
    }
}

/// One argument; options with their long names.
#[derive(Debug)]
pub enum Arg<O: 'static> {
    /// An option without a value.
    Flag(&'static str, &'static Flag<O>),
    /// An option with its value.
    Value(&'static str, PlaceOf<O>, Value),
    /// A word that is no option.
    Operand(OsString),
}

/// The arguments of a tool.
pub struct Args<O: 'static> {
    parser: lexopt::Parser,
    options: &'static [Opt<O>],
}

impl<O> Iterator for Args<O> {
    type Item = Result<Arg<O>, UsageError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.parser.next() {
            Ok(None) => None,
            Ok(Some(lexopt::Arg::Value(operand))) => Some(Ok(Arg::Operand(operand))),
            Ok(Some(lexopt::Arg::Short(letter))) => {
                let opt = self.options.iter().find(|o| o.short == Some(letter));
                let opt = opt.ok_or_else(|| UsageError(format!("no such option: -{letter}")));
                Some(opt.and_then(|opt| self.option(opt, format!("-{letter}"))))
            }
            Ok(Some(lexopt::Arg::Long(name))) => {
                let opt = find_long(self.options, name);
                Some(opt.and_then(|opt| self.option(opt, format!("--{}", opt.long))))
            }
            Err(error) => Some(Err(UsageError(error.to_string()))),
        }
    }
}

impl<O> Args<O> {
    /// An option, as it was spelled, with its value where it takes one.
    fn option(&mut self, opt: &'static Opt<O>, option: String) -> Result<Arg<O>, UsageError> {
        match &opt.effect {
            Effect::Value(_, place) => match self.parser.value() {
                Ok(raw) => Ok(Arg::Value(opt.long, *place, Value { option, raw })),
                Err(_) => Err(UsageError(format!("{option} option requires 1 argument"))),
            },
            // Only a long option can have been given a value with =; after a
            // short one, the rest of the word is more options.
            Effect::Flag(_)
                if option.starts_with("--") && self.parser.optional_value().is_some() =>
            {
                Err(UsageError(format!("{option} option does not take a value")))
            }
            Effect::Flag(flag) => Ok(Arg::Flag(opt.long, flag)),
        }
    }
}

fn find_long<O>(options: &'static [Opt<O>], name: &str) -> Result<&'static Opt<O>, UsageError> {
    if let Some(exact) = options.iter().find(|o| o.long == name) {
        return Ok(exact);
    }
    let begins = options.iter().filter(|o| o.long.starts_with(name));
    let mut matches: Vec<&Opt<O>> = begins.collect();
    match matches[..] {
        [] => {
            let meant = closest(name, options.iter().map(|o| o.long));
            let meant = meant.map(|long| format!("--{long}"));
            let hint = hint(meant.as_deref());
            Err(UsageError(format!("no such option: --{name}{hint}")))
        }
        [only] => Ok(only),
        _ => {
            matches.sort_by_key(|o| o.long);
            let names: Vec<String> = matches.iter().map(|o| format!("--{}", o.long)).collect();
            let names = names.join(", ");
            Err(UsageError(format!("ambiguous option: --{name} ({names}?)")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exit, FromValue as _};

    /// The options in their order, with the values of those that have one, and the operands.
    type Seen = Vec<(&'static str, Option<Value>)>;

    static TOOL: Tool = Tool {
        name: "swift-x",
        usage: "[options] NAME",
        about: "Does x.",
        example: "swift-x | cat",
        pages: &["swift-x(1)", "swift-records(5)"],
        unable: Exit::Failed,
    };

    static COMMAND_LINE: CommandLine<()> = CommandLine {
        tool: &TOOL,
        options: &[
            Opt::HELP,
            Opt::flag(Some('v'), "verbose", |()| ()),
            Opt::flag(None, "no-wait", |()| ()),
            Opt::flag(None, "no-daemon", |()| ()),
            Opt::value(Some('c'), "config-num", "N", |()| unreachable!()),
        ],
        operand: no_operand,
        checked: Ok,
    };

    fn parse(words: &[&str]) -> Result<Seen, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let seen = COMMAND_LINE.args(words).map(|arg| {
            Ok(match arg.map_err(|e| e.0)? {
                Arg::Flag(long, _) => (long, None),
                Arg::Value(long, _, value) => (long, Some(value)),
                Arg::Operand(raw) => {
                    let option = String::new();
                    ("", Some(Value { option, raw }))
                }
            })
        });
        seen.collect()
    }

    #[test]
    fn clusters_prefixes_and_operands_anywhere() {
        let all = parse(&["a", "-vc2", "b", "--conf=3", "--", "-v"]).unwrap();
        let names: Vec<_> = all.iter().map(|(long, _)| *long).collect();
        assert_eq!(names, ["", "verbose", "config-num", "", "config-num", ""]);
        assert_eq!(all[5].1.as_ref().unwrap().raw, "-v");
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
        let Some((_, Some(value))) = all.pop() else {
            panic!()
        };
        assert_eq!(
            i64::from_value(value),
            Err(UsageError("option -c: invalid integer value: 'x'".into()))
        );
    }
}
