//! The command line of every tool.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::os::unix::ffi::OsStrExt as _;

use swift_cli::text;
use swift_cli::{Action, Arg, CommandLine, FromValue as _, UsageError, Value};

use crate::cursor::Cursor;
use crate::tools;
use swift_serve::options as serve;

fn shown<T: Debug>(action: Result<Action<T>, UsageError>) -> Result<String, UsageError> {
    action.map(|action| format!("{action:?}"))
}

/// Every tool: its table of options, and how it reads a command line.
const TOOLS: [fn(Cursor<'_>); 8] = [
    |input| holds(&tools::init::COMMAND_LINE, input),
    |input| holds(&tools::resolve::COMMAND_LINE, input),
    |input| holds(&tools::pidfile::COMMAND_LINE, input),
    |input| holds(&tools::check::COMMAND_LINE, input),
    |input| holds(&tools::signal::COMMAND_LINE, input),
    |input| holds(&tools::reload::COMMAND_LINE, input),
    |input| holds(&tools::spawn::COMMAND_LINE, input),
    |input| holds(&serve::COMMAND_LINE, input),
];

/// Words that are an argument or its beginning.
const WORDS: &[&str] = &[
    "main",
    "status",
    "start",
    "RELOAD_Seamless",
    "Stop",
    "4711",
    "TERM",
    "stop",
    "--",
    "-",
    "---",
    "--=",
    "-=",
    "=",
    "-c",
    "-1",
    "0x",
    "0b",
    "1_0",
    "1e19",
    "1e400",
    "NaN",
    "-0",
    "\u{661}",
    "f",
    "verbose",
    "object.2",
    "*-rep",
    "",
];

/// The command line of each of the eight tools: nothing panics; what is wrong is one line that does
/// not drive a terminal; the same arguments mean the same twice; after `--` nothing is an option; and
/// what the shared reader refuses, the tool refuses too, unless help or version came first.
///
/// The first byte is the tool. Each argument is a byte for an option of its table or a word that is
/// known, and what follows it up to NUL.
///
/// Fails when `CommandLine::parse` misses an option of its table, when `Args::next` takes an
/// operand `--help` for the option, and when `text::for_terminal` lets U+009B through.
pub fn check(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    TOOLS[cursor.below(TOOLS.len())](cursor);
}

fn holds<O: Default, T: Debug>(line: &CommandLine<O, T>, mut cursor: Cursor<'_>) {
    let mut args = Vec::new();
    while !cursor.is_empty() && args.len() < 64 {
        args.push(argument(line, &mut cursor));
    }
    let result = shown(line.parse(args.clone()));
    assert_eq!(shown(line.parse(args.clone())), result);
    if let Err(UsageError(what)) = &result {
        let line = text::one_line(what.as_bytes());
        assert!(
            !line.is_empty() && !line.contains(char::is_control),
            "{line}"
        );
    }
    let separate = separate(line, &args);
    match (&separate, &result) {
        (Ok(parts), Ok(_)) => operands_end_options(line, &args, parts),
        (Err(_), _) => assert!(result.is_err() || asks_for_help(result.as_deref())),
        (Ok(_), Err(_)) => {}
    }
}

fn asks_for_help(result: Result<&str, &UsageError>) -> bool {
    result.is_ok_and(|what| what.starts_with("Help(") || what == "Version")
}

fn argument<O, T>(line: &CommandLine<O, T>, cursor: &mut Cursor<'_>) -> OsString {
    let kind = cursor.byte();
    let mut word = Vec::new();
    let options = line.options;
    let known = usize::from(kind & 0x3f);
    match kind >> 6 {
        0 if known < options.len() => {
            let opt = &options[known];
            word.extend_from_slice(b"--");
            word.extend_from_slice(opt.long.as_bytes());
            if opt.value_name().is_some() {
                word.push(b'=');
            }
        }
        1 if known < options.len() => {
            word.push(b'-');
            word.extend(options[known].short.map(|letter| letter as u8));
        }
        2 if known < WORDS.len() => word.extend_from_slice(WORDS[known].as_bytes()),
        3 => word.push(kind & 0x7f),
        _ => {}
    }
    word.extend_from_slice(cursor.until(0));
    OsStr::from_bytes(&word).to_owned()
}

/// An argument: the long name of an option with the value that it has, or an operand without a name.
type Part = (Option<&'static str>, Option<String>);

fn operand(word: OsString) -> Part {
    (None, Some(format!("{word:?}")))
}

/// The arguments one by one, as the shared reader gives them.
fn separate<O, T>(line: &CommandLine<O, T>, args: &[OsString]) -> Result<Vec<Part>, UsageError> {
    let read = |arg| {
        let part = match arg? {
            Arg::Operand(word) => return Ok(operand(word)),
            Arg::Flag(long, _) => (Some(long), None),
            Arg::Value(long, _, value) => (Some(long), Some(format!("{value:?}"))),
        };
        let opt = line.options.iter().find(|opt| Some(opt.long) == part.0);
        let opt = opt.expect("an option of the table");
        assert_eq!(opt.value_name().is_some(), part.1.is_some());
        Ok(part)
    };
    line.args(args.to_vec()).map(read).collect()
}

/// With `--` at its end, whatever follows is an operand, byte for byte.
fn operands_end_options<O, T>(line: &CommandLine<O, T>, args: &[OsString], parts: &[Part]) {
    let more = ["--help", "-h", "--", "-", "--zork=1"].map(OsString::from);
    let ended: Vec<OsString> = args
        .iter()
        .cloned()
        .chain(["--".into()])
        .chain(more.clone())
        .collect();
    let all = separate(line, &ended).expect("only operands were added");
    let operands: Vec<Part> = more.into_iter().map(operand).collect();
    assert!(all.starts_with(parts), "{all:?}");
    // Where the options had ended before, the new `--` is an operand as well.
    let added = &all[parts.len()..];
    let added = added
        .strip_prefix(&[operand("--".into())][..])
        .filter(|a| a.len() == 5)
        .unwrap_or(added);
    assert_eq!(added, operands);
}

/// Whole numbers are read as Python's optparse reads them: `_parse_num` in optparse.py, and `int` in
/// the language's reference.
///
/// Fails when a sign may follow `0x`, when `-010` is octal, and when underscores part no digits.
pub fn number(data: &[u8]) {
    let word = OsStr::from_bytes(data).to_owned();
    let words = vec![OsString::from("--kill-wait"), word];
    let mut args = tools::init::COMMAND_LINE.args(words);
    let Some(Ok(Arg::Value(_, _, value))) = args.next() else {
        panic!("an option with a value");
    };
    let value: Value = value;
    let read = i64::from_value(value).ok();
    let expected = std::str::from_utf8(data).ok().and_then(parse_num);
    assert_eq!(
        read.map(i128::from),
        expected.filter(|n| i64::try_from(*n).is_ok())
    );
}

/// optparse's `_parse_num`.
fn parse_num(text: &str) -> Option<i128> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("0x") {
        return int(text, 16);
    }
    if lower.starts_with("0b") {
        let digits = &text[2..];
        return int(if digits.is_empty() { "0" } else { digits }, 2);
    }
    int(text, if lower.starts_with('0') { 8 } else { 10 })
}

/// Python's `int(text, base)`, for the digits of ASCII.
fn int(text: &str, base: u32) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (if text.starts_with('-') { -1 } else { 1 }, digits),
        None => (1, text),
    };
    let prefixes: &[&str] = match base {
        16 => &["0x", "0X"],
        8 => &["0o", "0O"],
        2 => &["0b", "0B"],
        _ => &[],
    };
    let bare = prefixes
        .iter()
        .find_map(|prefix| digits.strip_prefix(prefix));
    // After a prefix, an underscore may come first.
    let digits = bare.map_or(digits, |bare| bare.strip_prefix('_').unwrap_or(bare));
    let mut value: i128 = 0;
    for part in digits.split('_') {
        if part.is_empty() {
            return None;
        }
        for digit in part.chars() {
            let digit = digit.to_digit(base)?;
            value = value
                .saturating_mul(base.into())
                .saturating_add(digit.into());
        }
    }
    Some(sign * value)
}

/// swift-init: the last of two options wins, and neither the case of a command nor `_` for `-` changes
/// it.
///
/// Fails when `--config-num` keeps the first value that it was given, and when a command's case
/// matters.
pub fn init(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let commands = tools::init::COMMANDS;
    let (command, ..) = commands[cursor.below(commands.len())];
    let odd = cursor.byte();
    let spelled: String = command
        .chars()
        .zip(0u8..)
        .map(|(c, place)| match (c, odd >> (place % 8) & 1) {
            ('-', 1) => '_',
            (c, 1) => c.to_ascii_uppercase(),
            (c, _) => c,
        })
        .collect();
    let twice = [
        "config-num",
        "kill-wait",
        "run-dir",
        "swift-dir",
        "check-timeout",
    ];
    let option = cursor.choose(&twice);
    let (one, two) = (1 + cursor.byte() as u16, 1 + cursor.byte() as u16);
    let words = |values: &[u16], command: &str| -> Vec<OsString> {
        let values = values.iter().map(|value| format!("--{option}={value}"));
        let all = values.chain(["main".into(), command.into()]);
        all.map(OsString::from).collect()
    };
    let read = |words: Vec<OsString>| shown(tools::init::COMMAND_LINE.parse(words));
    let plain = read(words(&[two], command));
    assert!(
        plain.as_ref().is_ok_and(|what| what.starts_with("Run(Do(")),
        "{plain:?}"
    );
    assert_eq!(read(words(&[one, two], &spelled)), plain);
}
