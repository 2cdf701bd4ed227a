//! System calls that a kernel does not have, or that a seccomp filter refuses.

use std::io;

/// The error of a system call that has no substitute here, and that never fails with EPERM of its own:
/// when the call was refused, it says which version of Linux is needed.
pub fn explained(error: io::Error, call: &str, since: &str) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM) => io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "{call}(2) is refused (it needs Linux {since}, and a seccomp filter that permits it)"
            ),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_an_error() {
        let of = |errno| explained(io::Error::from_raw_os_error(errno), "pidfd_open", "5.3");
        let text =
            "pidfd_open(2) is refused (it needs Linux 5.3, and a seccomp filter that permits it)";
        assert_eq!(of(libc::ENOSYS).to_string(), text);
        assert_eq!(of(libc::EPERM).to_string(), text);
        assert_eq!(of(libc::EMFILE).raw_os_error(), Some(libc::EMFILE));
    }
}
