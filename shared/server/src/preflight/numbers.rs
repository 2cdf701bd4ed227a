//! Values that Swift turns into numbers.

use swift_records::catalogue::Kind;
use swift_records::reason::Reason;

use super::conf::Conf;
use super::finding::Result;
use super::values::{float, int};

/// The form that a value has to have.
#[derive(Clone, Copy)]
enum Form {
    /// A number that Python's int() takes, from and to these.
    Int(i64, i64),
    /// The same, or `auto`.
    IntOrAuto,
    /// A number that Python's float() takes, and not negative, or nothing.
    FloatOrEmpty,
    /// A number that Python's float() takes, and not negative.
    NonNegative,
    /// A number, or a percentage.
    IntOrPercent,
}

const ANY: Form = Form::Int(i64::MIN, i64::MAX);

/// The keys that a server reads before its first worker serves: wsgi.py
/// (get_socket, run_server, the strategies), utils/logs.py. Some of them its own
/// check looks at too, but not in every version.
const SERVER: &[(&str, Form)] = &[
    ("backlog", ANY),
    ("bind_timeout", Form::Int(1, i64::MAX)),
    ("keep_idle", Form::Int(1, 32766)),
    ("workers", Form::IntOrAuto),
    ("max_clients", Form::Int(1, i64::MAX)),
    ("client_timeout", Form::FloatOrEmpty),
    ("keepalive_timeout", Form::FloatOrEmpty),
    ("stale_worker_timeout", Form::NonNegative),
];

/// The keys that servers and daemons read.
const ALL: &[(&str, Form)] = &[
    ("fallocate_reserve", Form::IntOrPercent),
    ("log_max_line_length", ANY),
];

pub(super) fn check(conf: &Conf) -> Result {
    let server = match conf.preflight.kind {
        Kind::Server => SERVER,
        Kind::Daemon => &[],
    };
    for (key, form) in server.iter().chain(ALL) {
        let Some(value) = conf.get(key) else {
            continue;
        };
        if let Err(why) = form.check(&value.text) {
            return Err(conf.finding(key, Reason::Value, why));
        }
    }
    Ok(())
}

impl Form {
    fn check(self, text: &str) -> std::result::Result<(), String> {
        let not = |what: &str| format!("not {what}: {text}");
        let is_float = |text: &str| float(text).is_some();
        match self {
            Form::Int(least, most) => match int(text) {
                None => Err(not("a whole number")),
                Some(n) if n < least || n > most => Err(format!("out of range: {n}")),
                Some(_) => Ok(()),
            },
            Form::IntOrAuto if text.eq_ignore_ascii_case("auto") => Ok(()),
            // It would run, without a single worker.
            Form::IntOrAuto => Form::Int(0, i64::MAX).check(text),
            Form::FloatOrEmpty if text.is_empty() => Ok(()),
            Form::FloatOrEmpty | Form::NonNegative => match float(text) {
                None => Err(not("a number")),
                Some(n) if n < 0.0 => Err(format!("negative: {text}")),
                Some(_) => Ok(()),
            },
            Form::IntOrPercent => match text.strip_suffix('%') {
                Some(part) if is_float(part) => Ok(()),
                None if int(text).is_some() => Ok(()),
                _ => Err(not("a number of bytes or a percentage")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_python_takes_for_one() {
        for (text, value) in [
            ("80", Some(80)),
            (" +8_0 ", Some(80)),
            ("-1", Some(-1)),
            ("08", Some(8)),
            ("99999999999999999999", Some(i64::MAX)),
            ("", None),
            ("-", None),
            ("8 0", None),
            ("80x", None),
            ("8.0", None),
            ("_8", None),
            ("0x50", None),
        ] {
            assert_eq!(int(text), value, "{text}");
        }
        for text in ["1", "1.5", ".5", "1e3", "inf", " 2 ", "1_0"] {
            assert!(float(text).is_some(), "{text}");
        }
        for text in ["", "x", "1.2.3", "1 2"] {
            assert!(float(text).is_none(), "{text}");
        }
    }

    #[test]
    fn forms_say_what_is_wrong() {
        let told = |form: Form, text: &str| form.check(text).err().unwrap_or_default();
        assert_eq!(told(Form::Int(1, 9), "10"), "out of range: 10");
        assert_eq!(told(ANY, "many"), "not a whole number: many");
        assert_eq!(told(Form::IntOrAuto, "Auto"), "");
        assert_eq!(told(Form::IntOrAuto, "-1"), "out of range: -1");
        assert_eq!(told(Form::FloatOrEmpty, ""), "");
        assert_eq!(told(Form::FloatOrEmpty, "-0.5"), "negative: -0.5");
        assert_eq!(told(Form::NonNegative, "-1"), "negative: -1");
        assert_eq!(told(Form::IntOrPercent, "1%"), "");
        assert_eq!(told(Form::IntOrPercent, "1.5%"), "");
        let bad = "not a number of bytes or a percentage: 1.5";
        assert_eq!(told(Form::IntOrPercent, "1.5"), bad);
    }
}
