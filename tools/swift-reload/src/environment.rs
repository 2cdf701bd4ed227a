//! The environment of a check.

use std::os::unix::ffi::OsStrExt as _;

use swift_server::process::{PROC_MAX, Pid, environment};

/// The variables that are for the process itself and not for its check.
const NOT_FOR_CHECKS: [&[u8]; 7] = [
    b"NOTIFY_SOCKET=",
    b"MAINPID=",
    b"LISTEN_FDS=",
    b"LISTEN_PID=",
    b"LISTEN_FDNAMES=",
    b"SWIFT_PIDFILE=",
    b"SWIFT_CONFIG=",
];

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
    let own = std::env::vars_os();
    let own = own.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    own.filter(|pair| is_for_checks(pair)).collect()
}

fn is_for_checks(pair: &[u8]) -> bool {
    !NOT_FOR_CHECKS.iter().any(|name| pair.starts_with(name))
}

fn pairs(bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = match bytes.len() < PROC_MAX {
        true => bytes,
        // The last one may be cut.
        false => &bytes[..bytes.iter().rposition(|b| *b == 0).unwrap_or(0)],
    };
    whole
        .split(|b| *b == 0)
        .filter(|pair| pair.contains(&b'='))
        .filter(|pair| is_for_checks(pair))
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
