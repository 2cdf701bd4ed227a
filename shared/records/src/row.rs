//! The row: one server with one config and one pid file, at one moment.
//!
//! A row is one line of seven fields parted by single TABs:
//!
//! ```text
//! server  config  pidfile  pid  start  state  detail
//! ```
//!
//! This module is the only code that reads or writes that form, which
//! swift-records(5) describes.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::reason::Reason;
use crate::state::State;
use swift_sys::pid::Pid;

/// How many columns a row has. Readers ignore columns beyond these.
pub const COLUMNS: usize = 7;

/// One instance at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The server's name, such as `object-server`.
    pub server: String,
    /// The config, as it is handed to the server.
    pub config: Option<PathBuf>,
    /// The path that the server's pid file has, or would have.
    pub pidfile: Option<PathBuf>,
    /// The pid that the pid file holds, or that of the process that was started.
    pub pid: Option<Pid>,
    /// The process's start time in clock ticks since boot: field 22 of
    /// /proc/PID/stat.
    pub start: Option<u64>,
    /// The state.
    pub state: State,
    /// The cause, beginning with a [`Reason`]'s word where the state needs one.
    pub detail: Vec<u8>,
}

/// The identity of a row's instance: server, config and pid file, each to the byte.
pub type RowId<'a> = [Option<&'a [u8]>; 3];

/// The same, owned.
pub type Key = [Option<Box<[u8]>>; 3];

impl Row {
    /// A row with nothing but server and state.
    pub fn new(server: &str, state: State) -> Row {
        Row {
            server: server.to_owned(),
            config: None,
            pidfile: None,
            pid: None,
            start: None,
            state,
            detail: Vec::new(),
        }
    }

    /// The row's identity, borrowed.
    pub fn id(&self) -> RowId<'_> {
        let config = self.config.as_deref().map(Path::as_os_str);
        let pidfile = self.pidfile.as_deref().map(Path::as_os_str);
        let server = Some(OsStr::new(&self.server));
        [server, config, pidfile].map(|field| Some(field?.as_bytes()))
    }

    /// The row's identity; a later row of the same key replaces an earlier one.
    pub fn key(&self) -> Key {
        self.id().map(|field| field.map(Box::from))
    }

    /// The instance in messages: its server, and its config behind that.
    pub fn name(&self) -> String {
        let config = self.config.as_deref().unwrap_or(Path::new("no config"));
        format!("{} ({})", self.server, config.display())
    }

    /// The reason that the detail begins with, if it begins with one.
    pub fn reason(&self) -> Option<Reason> {
        let word = self.detail.split(|b| *b == b' ').next()?;
        Reason::from_word(word)
    }

    /// The detail behind its first word.
    pub fn text(&self) -> &[u8] {
        match self.detail.iter().position(|b| *b == b' ') {
            Some(blank) => &self.detail[blank + 1..],
            None => b"",
        }
    }

    /// The reason why the pid file cannot be removed, when the detail has it: `stale kept WHY`.
    pub fn kept(&self) -> Option<&[u8]> {
        // Behind other reasons stands what a server printed.
        let Some(Reason::Stale | Reason::Invalid | Reason::WrongProcess) = self.reason() else {
            return None;
        };
        let text = self.text();
        let end = text.iter().position(|b| *b == b' ')?;
        (Reason::from_word(&text[..end]) == Some(Reason::Kept)).then_some(&text[end + 1..])
    }

    /// The same row, whose pid file cannot be removed.
    pub fn with_kept(mut self, why: &str) -> Row {
        self.detail
            .extend(format!(" {} {why}", Reason::Kept).bytes());
        self
    }

    /// The same instance in another state, with a reason and what follows it.
    pub fn with(mut self, state: State, reason: Reason, text: &[u8]) -> Row {
        self.state = state;
        self.detail = reason.to_string().into_bytes();
        if !text.is_empty() {
            self.detail.push(b' ');
            self.detail.extend_from_slice(text);
        }
        self
    }

    /// The same instance in another state that needs no reason.
    pub fn with_state(mut self, state: State) -> Row {
        self.state = state;
        self.detail.clear();
        self
    }

    /// True for a pid file without a config: such an instance is shown and stopped, and never started.
    pub fn is_orphan(&self) -> bool {
        self.state == State::Orphan || self.reason() == Some(Reason::Orphan)
    }

    /// Appends the row as a line, newline included.
    pub fn write(&self, line: &mut Vec<u8>) {
        fn put(number: Option<impl Display>, line: &mut Vec<u8>) {
            match number {
                Some(number) => write!(line, "{number}\t").expect("memory takes it"),
                None => line.extend_from_slice(b"-\t"),
            }
        }
        for field in self.id() {
            escape(field.unwrap_or_default(), line);
            line.push(b'\t');
        }
        put(self.pid, line);
        put(self.start, line);
        line.extend_from_slice(self.state.word().as_bytes());
        line.push(b'\t');
        escape(&self.detail, line);
        line.push(b'\n');
    }

    /// Reads one line without its newline; the error says what is wrong with it.
    pub fn read(line: &[u8]) -> Result<Row, String> {
        let mut split = line.split(|b| *b == b'\t');
        let mut fields = [&b""[..]; COLUMNS];
        for (n, field) in fields.iter_mut().enumerate() {
            *field = split.next().ok_or_else(|| {
                let s = if n == 1 { "" } else { "s" };
                format!("{n} field{s} instead of {COLUMNS}")
            })?;
        }
        let mut fields = fields
            .into_iter()
            .zip(1..)
            .map(|(raw, column)| unescape(raw).map_err(|what| format!("field {column}: {what}")));
        let mut next = || fields.next().expect("the count was checked");
        let path = |bytes: Option<Cow<[u8]>>| {
            bytes.map(|b| PathBuf::from(OsString::from_vec(b.into_owned())))
        };
        let server = next()?.ok_or("field 1: no server")?;
        let server = server_name(server.into_owned())?;
        let config = path(next()?);
        let pidfile = path(next()?);
        let pid = next()?
            .map(|b| Pid::parse(&b).ok_or("field 4: not a process number"))
            .transpose()?;
        let start = next()?
            .map(|b| number(&b).ok_or("field 5: not a start time"))
            .transpose()?;
        let word = next()?.ok_or("field 6: no state")?;
        let state = State::from_word(&word)
            .ok_or_else(|| format!("field 6: unknown state {}", swift_cli::text::quote(&word)))?;
        let detail = next()?.unwrap_or_default().into_owned();
        Ok(Row {
            server,
            config,
            pidfile,
            pid,
            start,
            state,
            detail,
        })
    }
}

/// A server's name goes into program names and file names, so it is held to
/// what both can carry.
fn server_name(bytes: Vec<u8>) -> Result<String, String> {
    let bad = |what: &str| format!("field 1: {what}");
    let name = String::from_utf8(bytes).map_err(|_| bad("a server's name is UTF-8"))?;
    if name.contains(['/', '\0']) || name.starts_with('.') {
        return Err(bad("not a server's name"));
    }
    Ok(name)
}

fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Writes a field: `-` when it is empty, and escaped so that it holds neither
/// TAB nor newline nor anything that is not printable UTF-8.
fn escape(field: &[u8], out: &mut Vec<u8>) {
    match field {
        b"" => return out.push(b'-'),
        b"-" => return out.extend_from_slice(b"\\x2d"),
        _ if is_plain(field) => return out.extend_from_slice(field),
        _ => {}
    }
    for chunk in field.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => out.extend_from_slice(b"\\t"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\\' => out.extend_from_slice(b"\\\\"),
                // Those of two bytes (U+0080 to U+009F) drive terminals as well,
                // and others make one name look like another.
                c if swift_cli::text::steers(c) => {
                    c.encode_utf8(&mut [0; 4])
                        .bytes()
                        .for_each(|byte| hex(byte, out));
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for &byte in chunk.invalid() {
            hex(byte, out);
        }
    }
}

/// True for a field that is written as it is, as nearly all are. Without a way out
/// in the middle, the compiler looks at many bytes at a time.
fn is_plain(field: &[u8]) -> bool {
    let plain = |b: &u8| (*b >= b' ') & (*b <= b'~') & (*b != b'\\');
    field.iter().fold(true, |all, b| all & plain(b))
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\x");
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// Reads a field back; `None` is the absent one.
fn unescape(raw: &[u8]) -> Result<Option<Cow<'_, [u8]>>, &'static str> {
    match raw {
        b"" => return Err("empty (an absent field is written -)"),
        b"-" => return Ok(None),
        _ if !raw.contains(&b'\\') => return Ok(Some(Cow::Borrowed(raw))),
        _ => {}
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next() {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let mut digit = || rest.next().and_then(|d| char::from(*d).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err("\\x without two hexadecimal digits"),
                }
            }
            _ => return Err("unknown escape (\\t \\n \\r \\\\ \\xHH are known)"),
        });
    }
    Ok(Some(Cow::Owned(out)))
}

/// The absent column's spelling, for code that shows a column to a person.
pub fn shown(field: Option<&OsStr>) -> String {
    let mut out = Vec::new();
    escape(field.map_or(b"", OsStr::as_bytes), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(row: &Row) -> String {
        let mut line = Vec::new();
        row.write(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_kept_pid_file_keeps_its_reason() {
        let row = Row::new("a", State::Stopped).with(State::Stopped, Reason::Stale, b"");
        assert_eq!(row.kept(), None);
        let row = row.with_kept("Read-only file system");
        assert_eq!(row.detail, b"stale kept Read-only file system");
        assert_eq!(row.reason(), Some(Reason::Stale));
        assert_eq!(row.kept(), Some(&b"Read-only file system"[..]));
        let printed = row.with(State::Failed, Reason::Output, b"kept alive: no");
        assert_eq!(printed.kept(), None);
    }

    #[test]
    fn a_row_is_seven_fields() {
        let row = Row {
            config: Some("/etc/swift/object-server/1.conf".into()),
            pidfile: Some("/run/swift/object-server/1.pid".into()),
            pid: Pid::parse(b"4711"),
            start: Some(123456),
            ..Row::new("object-server", State::Running)
        };
        assert_eq!(
            line(&row),
            "object-server\t/etc/swift/object-server/1.conf\t/run/swift/object-server/1.pid\t4711\t123456\trunning\t-\n"
        );
        assert_eq!(Row::read(line(&row).trim_end().as_bytes()), Ok(row));
    }

    #[test]
    fn whatever_is_written_reads_back() {
        for bytes in [
            &b"-"[..],
            b"a\tb\nc\rd\\e",
            b"\xff\xfe\x00\x1b[31m",
            "gr\u{fc}n".as_bytes(),
            b"\\x2d",
            "\u{9b}31m".as_bytes(),
            "\u{202e}fnoc.\u{2066}".as_bytes(),
            b" ",
            b"\xe2\x82",
        ] {
            let row = Row {
                config: Some(PathBuf::from(OsStr::from_bytes(bytes))),
                detail: bytes.to_vec(),
                ..Row::new("a", State::Failed)
            };
            let line = line(&row);
            assert_eq!(line.matches('\t').count(), 6);
            assert!(
                line.trim_end_matches('\n')
                    .chars()
                    .all(|c| c == '\t' || !swift_cli::text::steers(c))
            );
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Row::read(line.trim_end_matches('\n').as_bytes()), Ok(row));
        }
    }

    #[test]
    fn columns_beyond_the_seventh_are_ignored() {
        let row = Row::read(b"a\t-\t-\t-\t-\tstopped\tabsent\tnew\tnewer").unwrap();
        assert_eq!(row.reason(), Some(Reason::Absent));
    }

    #[test]
    fn a_bad_line_says_what_is_wrong() {
        for (line, what) in [
            (&b"object-server"[..], "1 field instead of 7"),
            (b"a\t-\t-\t-\t-\tstopped", "6 fields instead of 7"),
            (b"-\t-\t-\t-\t-\tstopped\t-", "field 1: no server"),
            (
                b"a/b\t-\t-\t-\t-\tstopped\t-",
                "field 1: not a server's name",
            ),
            (
                b"a\t\t-\t-\t-\tstopped\t-",
                "field 2: empty (an absent field is written -)",
            ),
            (
                b"a\t-\t-\t0\t-\tstopped\t-",
                "field 4: not a process number",
            ),
            (
                b"a\t-\t-\t-5\t-\tstopped\t-",
                "field 4: not a process number",
            ),
            (b"a\t-\t-\t5\t+1\tstopped\t-", "field 5: not a start time"),
            (b"a\t-\t-\t5\t1\trun\t-", "field 6: unknown state 'run'"),
            (
                b"a\t-\t-\t5\t1\tfailed\t\\q",
                "field 7: unknown escape (\\t \\n \\r \\\\ \\xHH are known)",
            ),
            (
                b"a\t-\t-\t5\t1\tfailed\t\\x1",
                "field 7: \\x without two hexadecimal digits",
            ),
        ] {
            assert_eq!(Row::read(line), Err(what.to_owned()));
        }
    }

    #[test]
    fn a_key_is_server_config_and_pid_file() {
        let row = |server: &str, config: Option<&str>, pidfile: Option<&str>| Row {
            config: config.map(Into::into),
            pidfile: pidfile.map(Into::into),
            ..Row::new(server, State::Stopped)
        };
        let one = row("a", Some("b"), Some("c"));
        assert_eq!(one.key(), one.clone().with_state(State::Ready).key());
        let bytes = |field: &str| Some(field.as_bytes().into());
        assert_eq!(one.key(), ["a", "b", "c"].map(bytes));
        assert_eq!(row("a", None, None).key(), [bytes("a"), None, None]);
        for other in [
            row("ab", Some(""), Some("c")),
            row("a", Some("bc"), Some("")),
            row("a", None, Some("bc")),
            row("a", Some("b"), None),
            row("a", Some(""), Some("bc")),
        ] {
            assert_ne!(one.key(), other.key());
        }
        assert_ne!(row("a", None, None).key(), row("a", Some(""), None).key());
    }

    #[test]
    fn the_detail_is_a_word_and_text() {
        let row =
            Row::new("a", State::Failed).with(State::Failed, Reason::Exit(1), b"no such\nfile");
        assert_eq!(row.reason(), Some(Reason::Exit(1)));
        assert_eq!(row.text(), b"no such\nfile");
        assert!(row.with_state(State::Ready).detail.is_empty());
    }
}
