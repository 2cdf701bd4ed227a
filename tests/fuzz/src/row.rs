//! A row as a line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use swift_records::row::{COLUMNS, Row, shown};
use swift_records::state::State;
use swift_server::process::Pid;

use crate::cursor::Cursor;

/// Whatever reads as a row, and whatever a tool may put into one, is written as one line of seven
/// fields without a control character, and reads back the same.
///
/// Fails when `escape` in shared/records/src/row.rs leaves U+0080 to U+009F alone, when it leaves the
/// backslash alone, and when `-` is not written `\x2d`.
pub fn check(data: &[u8]) {
    if let Ok(row) = Row::read(data) {
        assert!(!row.server.is_empty() && !row.server.contains(['/', '\0']));
        assert!(!row.server.starts_with('.'));
        reads_back(&row);
    }
    reads_back(&built(data));
    let field = shown(Some(OsStr::from_bytes(data)));
    assert!(!field.is_empty() && !field.contains(char::is_control));
}

/// A row of which the input says everything.
fn built(data: &[u8]) -> Row {
    let mut cursor = Cursor::new(data);
    let name = String::from_utf8_lossy(cursor.until(0)).replace('/', "");
    let name = name.trim_start_matches('.');
    let path = |bytes: &[u8]| (!bytes.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(bytes)));
    Row {
        server: if name.is_empty() { "a" } else { name }.to_owned(),
        config: path(cursor.until(0)),
        pidfile: path(cursor.until(0)),
        pid: Pid::new(cursor.number() as i32),
        start: Some(cursor.number()).filter(|start| *start != 0),
        state: cursor.choose(State::ALL),
        detail: cursor.rest().to_vec(),
    }
}

fn reads_back(row: &Row) {
    let mut line = Vec::new();
    row.write(&mut line);
    let text = std::str::from_utf8(&line).expect("a written row is UTF-8");
    let text = text
        .strip_suffix('\n')
        .expect("a written row ends its line");
    assert!(text.chars().all(|c| c == '\t' || !c.is_control()), "{text}");
    assert_eq!(text.split('\t').count(), COLUMNS, "{text}");
    assert!(text.split('\t').all(|field| !field.is_empty()), "{text}");
    assert_eq!(Row::read(text.as_bytes()).as_ref(), Ok(row));
}
