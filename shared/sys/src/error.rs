//! The one wording of an error.

use std::fmt::Display;

/// An error, with its causes where it has some, without the numbers that the standard library adds:
/// `Permission denied (os error 13)`.
pub fn reason_of(error: &(impl Display + ?Sized)) -> String {
    let whole = format!("{error:#}");
    let mut parts = whole.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_named_and_not_numbered() {
        let error = std::io::Error::from_raw_os_error(28);
        let message = reason_of(&format!("cannot write a: {error}: b"));
        assert_eq!(message, "cannot write a: No space left on device: b");
        assert_eq!(reason_of("plain"), "plain");
    }
}
