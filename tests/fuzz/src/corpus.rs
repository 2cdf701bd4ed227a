//! The committed inputs: `corpus/NAME.txt` has one on each line, escaped. Lines that begin with `#`
//! and empty ones are passed over.

use std::fs;
use std::path::PathBuf;

/// The inputs of a property, in the order of the file.
///
/// # Panics
/// When the file is missing, or a line of it makes no sense.
pub fn inputs(name: &str) -> Vec<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().zip(1..);
    lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            unescape(line).unwrap_or_else(|| panic!("{}: line {number}", path.display()))
        })
        .collect()
}

/// An input as a line of such a file.
pub fn escape(input: &[u8]) -> String {
    let line = input.escape_ascii().to_string();
    match line.strip_prefix('#') {
        Some(rest) => format!("\\x23{rest}"),
        None => line,
    }
}

fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next()? {
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'x' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            quoted @ (b'\\' | b'\'' | b'"') => quoted,
            _ => return None,
        });
    }
    Some(out)
}
