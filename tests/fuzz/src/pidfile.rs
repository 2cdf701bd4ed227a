//! What lies in a pid file's place.

use std::path::Path;
use std::sync::{LazyLock, Mutex};

use swift_server::pidfile::{self, Content};
use swift_server::process::Pid;
use swift_server::rundir::RunDir;

use crate::folder::Folder;

static FOLDER: LazyLock<Mutex<Folder>> = LazyLock::new(|| Mutex::new(Folder::new()));

/// A pid file, read through a real run directory: a number when it holds digits that a process can
/// have, with blanks around them; unreadable when it is too long; invalid otherwise. It is removed
/// when it holds what was seen, and never when it is no pid file.
///
/// Fails when `Pid::parse` takes a sign, when 0 is a process, when files of 65 bytes are read, and
/// when `remove_if` removes what is unreadable.
pub fn check(data: &[u8]) {
    let folder = FOLDER.lock().unwrap_or_else(|e| e.into_inner());
    let file = folder.write("a.pid", data);
    let run_dir = RunDir::open(folder.path())
        .expect("it can be opened")
        .expect("it is there");
    let path = Path::new("a.pid");
    let found = pidfile::read(&run_dir, path).content;
    let expected = match number(data) {
        _ if data.len() > 64 => Content::Unreadable("longer than 64 bytes".into()),
        Some(number) => Content::Number(number),
        None => Content::Invalid,
    };
    assert_eq!(found, expected);
    let other = Content::Number(Pid::new(i32::MAX).expect("it is positive"));
    let removed =
        |content: &Content| pidfile::remove_if(&run_dir, path, content).expect("it is ours");
    assert_eq!(removed(&other), found == other);
    assert_eq!(file.exists(), found != other);
    if found != other {
        assert_eq!(removed(&found), data.len() <= 64);
        assert_eq!(file.exists(), data.len() > 64);
    }
}

/// The number of a process, digit by digit.
fn number(data: &[u8]) -> Option<Pid> {
    let blank = |b: &u8| b" \t\n\r\x0c".contains(b);
    let begin = data.iter().position(|b| !blank(b))?;
    let end = data.iter().rposition(|b| !blank(b))? + 1;
    let mut number: i64 = 0;
    for byte in &data[begin..end] {
        let digit = char::from(*byte).to_digit(10)?;
        number = (number * 10 + i64::from(digit)).min(i64::from(i32::MAX) + 1);
    }
    i32::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .and_then(Pid::new)
}
