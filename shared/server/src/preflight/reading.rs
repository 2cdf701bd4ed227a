//! Opening and reading files of configs.

use std::fs::{self, File};
use std::io;
use std::iter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::finding::{Finding, Result};
use swift_records::config;
use swift_records::ini::Ini;
use swift_records::reason::Reason;
use swift_sys::error::reason_of;
use swift_sys::regular_file;

/// Reads a config as Swift does: of a directory, entries that are no files are
/// left out without a word.
pub(super) fn read(config: &Path) -> Result<Ini> {
    let unreadable = |e: &io::Error| Finding {
        reason: match e.kind() {
            io::ErrorKind::NotFound => Reason::Absent,
            _ => Reason::File,
        },
        ..refuse(config, &reason_of(e))
    };
    let files = config::files(config).map_err(|e| unreadable(&e))?;
    let directory = config.parent().unwrap_or(config).display().to_string();
    let own = config.display().to_string();
    let mut ini = Ini::new([("here", directory), ("__file__", own)]);
    let mut read = false;
    for file in &files {
        match regular_file::read(file) {
            Ok(text) => {
                read = true;
                ini.add(file, &text)
                    .map_err(|fault| Finding::syntax(&fault))?;
            }
            Err(e) if file == config => return Err(unreadable(&e)),
            Err(_) => {}
        }
    }
    match read {
        true => Ok(ini),
        false => Err(unreadable(&io::Error::other("no file in it can be read"))),
    }
}

/// Refuses a config of which a file may not be read. Of a directory Swift leaves
/// such a file out without a word, and starts with another config than the one
/// that is written there.
pub(super) fn all_readable(config: &Path) -> Result {
    let files = config::files(config).unwrap_or_default();
    let mut all = iter::once(config.to_owned()).chain(files);
    match all.find_map(|path| Some((denied(&path)?, path))) {
        Some((why, path)) => Err(refuse(&path, &why)),
        None => Ok(()),
    }
}

/// The finding that a file cannot be read.
pub(super) fn refuse(path: &Path, why: &str) -> Finding {
    Finding {
        reason: Reason::File,
        text: format!("{}: {why}", path.display()),
    }
}

/// The reason for which a file may not be read, where that is so.
pub(super) fn denied(path: &Path) -> Option<String> {
    let error = open(path).err()?;
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| reason_of(&error))
}

/// Opens what is a regular file or a directory. Nothing else is touched, since
/// to open a fifo or a device may do something, or wait.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Ok(None);
    }
    let mut options = File::options();
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    options.read(true).custom_flags(flags).open(path).map(Some)
}
