//! Files that a start reads.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::conf::Conf;
use super::finding::{Finding, Result, from_root};
use super::reading::{all_readable, denied, open, refuse};
use swift_sys::regular_file;
use swift_sys::rights::with_rights_of;
use swift_sys::spawn::User;

/// Checks what the workers of a server read once they are this user's: the
/// config again, and with it what its app and filters read (run_server in wsgi.py).
pub(super) fn check(conf: &Conf, user: &User) -> Result {
    let config = &conf.preflight.config;
    let rings = rings(conf);
    let check = || {
        all_readable(config)?;
        let unreadable = rings.iter().find_map(|ring| Some((ring, denied(ring)?)));
        unreadable.map_or(Ok(()), |(ring, why)| Err(refuse(ring, &why)))
    };
    // Without the user's rights nothing is known.
    let seen = with_rights_of(user, check).unwrap_or(Ok(()));
    seen.map_err(|finding| {
        let name = conf
            .get("user")
            .map_or_else(|| "swift".into(), |value| value.text);
        let text = format!("{} (as user {name})", finding.text);
        Finding { text, ..finding }
    })
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

/// True when a file holds something in PEM form, as OpenSSL wants it. What is no
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
    file.take(regular_file::MAX_SIZE).read_to_end(&mut text)?;
    let begin = b"-----BEGIN ";
    let is_long = text.len() as u64 == regular_file::MAX_SIZE;
    Ok(is_long || text.windows(begin.len()).any(|part| part == begin))
}
