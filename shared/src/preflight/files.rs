//! Files that a start reads.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::iter;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config;
use crate::ini::Ini;
use crate::plain;
use crate::reason::Reason;
use crate::sys::error::reason_of;
use crate::sys::rights::with_rights_of;
use crate::sys::spawn::User;

use super::{Conf, Finding, Result, from_root};

/// Reads a config as Swift does: of a directory, entries that are no files are
/// left out without a word.
pub(super) fn read(config: &Path) -> Result<Ini> {
    let unreadable = |e: &io::Error| Finding {
        reason: match e.kind() {
            io::ErrorKind::NotFound => Reason::Absent,
            _ => Reason::File,
        },
        text: format!("{}: {}", config.display(), reason_of(e)),
    };
    let files = config::files(config).map_err(|e| unreadable(&e))?;
    let directory = config.parent().unwrap_or(config).display().to_string();
    let own = config.display().to_string();
    let mut ini = Ini::new([("here", directory), ("__file__", own)]);
    let mut read = false;
    for file in &files {
        match plain::read(file) {
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

fn refuse(path: &Path, why: &str) -> Finding {
    Finding {
        reason: Reason::File,
        text: format!("{}: {why}", path.display()),
    }
}

/// Looks at what the workers of a server read once they are this user's: the
/// config again, and with it what its app and filters read (run_server in wsgi.py).
pub(super) fn look(conf: &Conf, user: &User) -> Result {
    let config = &conf.preflight.config;
    let rings = rings(conf);
    let look = || {
        all_readable(config)?;
        let unreadable = rings.iter().find_map(|ring| Some((ring, denied(ring)?)));
        unreadable.map_or(Ok(()), |(ring, why)| Err(refuse(ring, &why)))
    };
    // Not to be had, the user's rights tell nothing.
    let seen = with_rights_of(user, look).unwrap_or(Ok(()));
    seen.map_err(|finding| {
        let name = conf
            .get("user")
            .map_or_else(|| "swift".into(), |value| value.text);
        let text = format!("{} (as user {name})", finding.text);
        Finding { text, ..finding }
    })
}

/// The reason for which a file may not be read, where that is so.
fn denied(path: &Path) -> Option<String> {
    let error = open(path).err()?;
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| reason_of(&error))
}

/// The rings that each worker of a proxy loads (proxy/server.py). Those of
/// objects it has from the server that it is forked from.
fn rings(conf: &Conf) -> Vec<PathBuf> {
    let is_proxy = conf.section.as_deref().is_some_and(|section| {
        let used = conf.ini.get(section, "use").ok().flatten();
        used.is_some_and(|value| value.text.starts_with("egg:swift#proxy"))
    });
    if !is_proxy {
        return Vec::new();
    }
    let directory = conf
        .get("swift_dir")
        .map_or_else(|| "/etc/swift".into(), |value| value.text);
    let directory = from_root(&directory);
    let rings = ["account.ring.gz", "container.ring.gz"];
    rings.map(|ring| directory.join(ring)).into()
}

/// Opens what is a regular file or a directory. Nothing else is touched, since
/// to open a fifo or a device may do something, or wait.
fn open(path: &Path) -> io::Result<Option<File>> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Ok(None);
    }
    let mut options = File::options();
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    options.read(true).custom_flags(flags).open(path).map(Some)
}

/// Whether a file holds something in PEM form, as OpenSSL wants it. What is no
/// file is believed, but for what a start would wait for or fail on.
pub(super) fn is_pem(path: &Path) -> io::Result<bool> {
    let status = fs::metadata(path)?;
    let kind = status.file_type();
    if kind.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if kind.is_fifo() || kind.is_socket() {
        let what = if kind.is_fifo() { "a fifo" } else { "a socket" };
        return Err(io::Error::other(what));
    }
    let Some(file) = open(path)? else {
        return Ok(true);
    };
    let mut text = Vec::new();
    file.take(plain::MAX_SIZE).read_to_end(&mut text)?;
    let begin = b"-----BEGIN ";
    let is_long = text.len() as u64 == plain::MAX_SIZE;
    Ok(is_long || text.windows(begin.len()).any(|part| part == begin))
}
