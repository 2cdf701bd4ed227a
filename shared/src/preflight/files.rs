//! Files that a start reads.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::iter;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config;
use crate::ini::Ini;
use crate::pidfile::reason_of;
use crate::plain;
use crate::reason::Reason;
use crate::sys::rights::with_rights_of;
use crate::sys::spawn::User;

use super::{Conf, Finding, Result, from_root};

/// Reads a config. Swift leaves out a file of a directory that it may not read,
/// without a word, and starts with another config than the one that is written
/// there: that is refused. Other entries that are no files it leaves out as well.
pub(super) fn read(config: &Path) -> Result<Ini> {
    let unreadable = |file: &Path, e: &io::Error| Finding {
        reason: match e.kind() {
            io::ErrorKind::NotFound => Reason::Absent,
            _ => Reason::File,
        },
        text: format!("{}: {}", file.display(), reason_of(e)),
    };
    let files = config::files(config).map_err(|e| unreadable(config, &e))?;
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
            Err(e) if file == config || e.kind() == io::ErrorKind::PermissionDenied => {
                return Err(unreadable(file, &e));
            }
            Err(_) => {}
        }
    }
    match read {
        true => Ok(ini),
        false => Err(unreadable(
            config,
            &io::Error::other("no file in it can be read"),
        )),
    }
}

/// Looks at what the workers of a server read once they are this user's: the
/// config again, and with it what its app and filters read (run_server in wsgi.py).
pub(super) fn look(conf: &Conf, user: &User) -> Result {
    let name = conf
        .get("user")
        .map_or_else(|| "swift".into(), |value| value.text);
    let refuse = |path: &Path, why: &str| Finding {
        reason: Reason::File,
        text: format!("{}: user {name}: {why}", path.display()),
    };
    let may_not_read = |path: &Path| {
        let opened = with_rights_of(user, || open(path).map(drop));
        // Not to be had, the user's rights tell nothing.
        let denied = |e: &io::Error| e.kind() == io::ErrorKind::PermissionDenied;
        opened.ok()?.err().filter(denied)
    };
    let config = &conf.preflight.config;
    let files = config::files(config).unwrap_or_default();
    for path in iter::once(config.clone()).chain(files).chain(rings(conf)) {
        if let Some(e) = may_not_read(&path) {
            return Err(refuse(&path, &reason_of(&e)));
        }
    }
    Ok(())
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
