//! The environment of a check.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use swift_cli::service;
use swift_server::process::{PROC_MAX, Pid, environment, tag};

/// The environment that the process itself was executed with, and will execute
/// anew with: it is no secret to its user, and nothing of root's is in it. Where
/// it cannot be read, PATH alone.
pub fn of_check(pid: Pid) -> Vec<Vec<u8>> {
    let bytes = environment(pid).ok().flatten().unwrap_or_default();
    let found = pairs(&bytes);
    if !found.is_empty() {
        return found;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    vec![[b"PATH=", path.as_bytes()].concat()]
}

/// The environment of a check that is this process's own user's.
pub fn own() -> Vec<Vec<u8>> {
    service::variables(is_for_checks)
}

/// False for a variable that is for the process itself and not for its check.
fn is_for_checks(name: &OsStr) -> bool {
    !service::is_of_one_process(name) && name != tag::PID_FILE && name != tag::CONFIG
}

fn pairs(bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = match bytes.len() < PROC_MAX {
        true => bytes,
        // The last one may be cut.
        false => &bytes[..bytes.iter().rposition(|b| *b == 0).unwrap_or(0)],
    };
    whole
        .split(|b| *b == 0)
        .filter(|pair| {
            let name = pair.iter().position(|b| *b == b'=').map(|end| &pair[..end]);
            name.is_some_and(|name| is_for_checks(OsStr::from_bytes(name)))
        })
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_or_not_meant_for_a_check_is_left_out() {
        let of = |text: &str| {
            let all = pairs(text.as_bytes());
            let words = all.iter().map(|pair| String::from_utf8_lossy(pair));
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("A=1\0NOTIFY_SOCKET=/x\0B=\0odd\0\0"), "A=1 B=");
        let long = format!("A=1\0B={}", "x".repeat(PROC_MAX));
        assert_eq!(of(&long[..PROC_MAX]), "A=1");
    }
}
