//! The number of a process.

use std::fmt;

/// A process's number: positive, so that it can be meant for no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(i32);

impl Pid {
    /// A number as the kernel gives it.
    pub fn new(number: i32) -> Option<Pid> {
        (number > 0).then_some(Pid(number))
    }

    /// The pid of this process.
    pub fn own() -> Pid {
        Pid(nix::unistd::getpid().as_raw())
    }

    /// A number as text: digits only, no sign, no blanks.
    pub fn parse(text: &[u8]) -> Option<Pid> {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(text)
            .ok()?
            .parse()
            .ok()
            .and_then(Pid::new)
    }

    /// The number.
    pub fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The digits of this process's pid. It allocates nothing and takes no lock, so a child may call it
/// between clone and exec.
pub fn own_digits(digits: &mut [u8; 16]) -> &[u8] {
    let mut rest = Pid::own().raw();
    let mut at = digits.len();
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    &digits[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positive_numbers_are_pids() {
        assert_eq!(Pid::parse(b"0012").map(Pid::raw), Some(12));
        for bad in [
            &b""[..],
            b"0",
            b"-1",
            b"+1",
            b" 1",
            b"1 ",
            b"2147483648",
            b"99999999999999999999",
            b"1x",
        ] {
            assert_eq!(Pid::parse(bad), None);
        }
    }
}
