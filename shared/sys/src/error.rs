//! The one wording of an error.

use std::io;

/// An error without the number that the standard library adds.
pub fn reason_of(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
