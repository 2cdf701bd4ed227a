//! System calls that a kernel does not have, or that a seccomp filter refuses.

use std::io;

/// A system call that has no substitute here.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// The call's name.
    pub name: &'static str,
    /// The version of Linux that brought it.
    pub since: &'static str,
    /// True when the call itself never fails with EPERM, so that a filter did.
    pub eperm_is_refusal: bool,
}

impl Needed {
    /// A call that never fails with EPERM of its own.
    pub const fn new(name: &'static str, since: &'static str) -> Needed {
        Needed {
            name,
            since,
            eperm_is_refusal: true,
        }
    }

    /// The error of the call, which says what is needed when it was refused.
    pub fn error(self, error: io::Error) -> io::Error {
        match error.raw_os_error() {
            Some(libc::ENOSYS) => self.refusal(),
            Some(libc::EPERM) if self.eperm_is_refusal => self.refusal(),
            _ => error,
        }
    }

    fn refusal(self) -> io::Error {
        let Needed { name, since, .. } = self;
        let text = format!(
            "{name}(2) is refused (it needs Linux {since}, and a seccomp filter that permits it)"
        );
        io::Error::new(io::ErrorKind::Unsupported, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_an_error() {
        let mut call = Needed::new("pidfd_open", "5.3");
        let of = |call: Needed, errno| call.error(io::Error::from_raw_os_error(errno));
        let text =
            "pidfd_open(2) is refused (it needs Linux 5.3, and a seccomp filter that permits it)";
        assert_eq!(of(call, libc::ENOSYS).to_string(), text);
        assert_eq!(of(call, libc::EPERM).to_string(), text);
        assert_eq!(of(call, libc::EMFILE).raw_os_error(), Some(libc::EMFILE));
        call.eperm_is_refusal = false;
        assert_eq!(of(call, libc::EPERM).raw_os_error(), Some(libc::EPERM));
    }
}
