//! Points at which a test stops a program, or has it die as by `kill -9`.
//!
//! There are none in a build without the feature `faults`: then [`at`] is
//! nothing at all. With it, the environment variable [`VARIABLE`] names a
//! directory, and what lies in it under the name `PROGRAM:POINT` says what
//! happens there:
//!
//! - a regular file: it is removed, and the process kills itself. Its absence
//!   tells the test that the point was reached. A number in it says how many
//!   pass before the one that dies.
//! - a fifo: the process writes its number and a newline into it, and goes on
//!   when it has read a byte from the fifo `PROGRAM:POINT.go`. A fifo waits for
//!   its other side, so neither has to look again and again.
//! - nothing: nothing.
//!
//! A file in it can also hold a number that takes the place of the program's own: [`number`].
//!
//! PROGRAM is the name of the file that the process executes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// The environment variable that names the directory.
pub const VARIABLE: &str = "SWIFT_FAULTS";

/// The end of the name of the fifo that lets a process go on.
pub const GO: &str = ".go";

/// A point of that name.
#[inline]
pub fn at(point: &str) {
    if cfg!(feature = "faults") {
        reach(point);
    }
}

/// The number of that name that a test has set, or else the program's own.
#[inline]
pub fn number(name: &str, own: u32) -> u32 {
    let has_faults = cfg!(feature = "faults");
    let path = has_faults.then(|| place(name)).flatten();
    let text = path.and_then(|path| fs::read_to_string(path).ok());
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or(own)
}

fn reach(point: &str) {
    let Some(path) = place(point) else { return };
    let Ok(kind) = fs::symlink_metadata(&path).map(|m| m.file_type()) else {
        return;
    };
    if kind.is_fifo() {
        pause(&path);
    } else if is_the_one(&path) && fs::remove_file(&path).is_ok() {
        // SIGKILL cannot be caught, so this process ends before it goes on.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
}

/// True when no other process is to pass before; counts this one when one is.
fn is_the_one(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let left: u64 = text.trim().parse().unwrap_or(0);
    left == 0 || fs::write(path, (left - 1).to_string()).is_err()
}

/// Where it would be said what happens at a point.
fn place(point: &str) -> Option<PathBuf> {
    let directory = std::env::var_os(VARIABLE)?;
    let program = std::env::current_exe().ok()?;
    let mut name = program.file_name().map(OsStr::to_owned)?;
    name.push(":");
    name.push(point);
    Some(PathBuf::from(directory).join(name))
}

fn pause(path: &Path) {
    let mut go = path.as_os_str().to_owned();
    go.push(GO);
    let told = File::options()
        .write(true)
        .open(path)
        .and_then(|mut fifo| fifo.write_all(format!("{}\n", std::process::id()).as_bytes()));
    if told.is_ok() {
        let _ = File::open(go).and_then(|mut fifo| fifo.read(&mut [0]));
    }
}
