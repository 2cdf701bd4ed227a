//! The value of an option, and the types it is read into.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use swift_sys::pid::Pid;

use crate::text;

/// A command line that cannot be understood; the message is one line.
#[derive(Debug, PartialEq)]
pub struct UsageError(pub String);

/// An option's value, which knows the option's name for its messages.
#[derive(Debug, PartialEq)]
pub struct Value {
    pub(crate) option: String,
    pub(crate) raw: OsString,
}

impl Value {
    /// The value as `read` understands its text, or the error that it is not what it should be.
    fn read<T>(&self, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, UsageError> {
        self.raw.to_str().and_then(read).ok_or_else(|| {
            UsageError(format!(
                "option {}: invalid {what}: {}",
                self.option,
                text::quote(self.raw.as_encoded_bytes())
            ))
        })
    }
}

/// A type that an option's value is read into.
pub trait FromValue: Sized {
    /// Reads the value.
    fn from_value(value: Value) -> Result<Self, UsageError>;
}

/// Where an option's value goes.
pub trait Destination {
    /// Puts the value there.
    fn put(&mut self, value: Value) -> Result<(), UsageError>;
}

impl<T: FromValue> Destination for T {
    fn put(&mut self, value: Value) -> Result<(), UsageError> {
        *self = T::from_value(value)?;
        Ok(())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Option<T>, UsageError> {
        T::from_value(value).map(Some)
    }
}

/// A path; an empty one is refused.
impl FromValue for PathBuf {
    fn from_value(value: Value) -> Result<PathBuf, UsageError> {
        if value.raw.is_empty() {
            value.read("path", |_| None)
        } else {
            Ok(value.raw.into())
        }
    }
}

/// Seconds, of which there can be fractions.
impl FromValue for Duration {
    fn from_value(value: Value) -> Result<Duration, UsageError> {
        value.read("number of seconds", |s| {
            Duration::try_from_secs_f64(s.parse().ok()?).ok()
        })
    }
}

/// A whole number, written as Python's optparse reads it: decimal, `0x2`, `0b11`, and octal with a
/// leading 0.
impl FromValue for i64 {
    fn from_value(value: Value) -> Result<i64, UsageError> {
        value.read("integer value", integer)
    }
}

/// The number of a config, counted from 1; 0 asks for every config, as in the original.
impl FromValue for Option<NonZeroUsize> {
    fn from_value(value: Value) -> Result<Option<NonZeroUsize>, UsageError> {
        let number = value.read("integer value", integer)?;
        value.read("config number", |_| {
            Some(NonZeroUsize::new(number.try_into().ok()?))
        })
    }
}

/// A file descriptor's number.
impl FromValue for RawFd {
    fn from_value(value: Value) -> Result<RawFd, UsageError> {
        value.read("file descriptor", |s| s.parse().ok().filter(|n| *n >= 0))
    }
}

/// A process's number.
impl FromValue for Pid {
    fn from_value(value: Value) -> Result<Pid, UsageError> {
        value.read("process number", |s| Pid::parse(s.as_bytes()))
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

#[cfg(test)]
mod tests {
    use super::*;

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
