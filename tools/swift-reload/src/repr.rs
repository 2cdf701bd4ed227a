//! Text and bytes as Python's `%r` shows them, for the messages of Swift's own
//! swift-reload.

/// `repr(text)`, where bytes that are not UTF-8 are shown as `\xNN`.
pub fn text(bytes: &[u8]) -> String {
    let quote = quote_for(bytes);
    let mut out = String::from(quote);
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut out, c, quote));
        chunk.invalid().iter().for_each(|b| hex(&mut out, *b));
    }
    out.push(quote);
    out
}

/// `repr(bytes)`.
pub fn bytes(bytes: &[u8]) -> String {
    let quote = quote_for(bytes);
    let mut out = format!("b{quote}");
    for byte in bytes {
        match byte {
            0..0x80 => push(&mut out, char::from(*byte), quote),
            _ => hex(&mut out, *byte),
        }
    }
    out.push(quote);
    out
}

/// Single quotes, unless that saves escaping.
fn quote_for(bytes: &[u8]) -> char {
    match (bytes.contains(&b'\''), bytes.contains(&b'"')) {
        (true, false) => '"',
        _ => '\'',
    }
}

fn hex(out: &mut String, byte: u8) {
    out.push_str(&format!("\\x{byte:02x}"));
}

fn push(out: &mut String, c: char, quote: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        c if is_printable(c) => out.push(c),
        c => match u32::from(c) {
            n @ 0..0x100 => out.push_str(&format!("\\x{n:02x}")),
            n @ 0x100..0x1_0000 => out.push_str(&format!("\\u{n:04x}")),
            n => out.push_str(&format!("\\U{n:08x}")),
        },
    }
}

/// Rust escapes what is not printable by the same Unicode categories as
/// Python. It also escapes a combining character, but not after another one.
fn is_printable(c: char) -> bool {
    let shown = format!("x{c}").escape_debug().to_string();
    !c.is_control() && !shown.starts_with("x\\u")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_python_shows_it() {
        for (given, shown) in [
            ("sleep 600", "'sleep 600'"),
            ("", "''"),
            ("it's", "\"it's\""),
            ("'\"", "'\\'\"'"),
            ("a\tb\n\r\\\0\x7f", r"'a\tb\n\r\\\x00\x7f'"),
            (
                "ä e\u{301} \u{a0} \u{200b} \u{e000} \u{e0001}",
                "'ä e\u{301} \\xa0 \\u200b \\ue000 \\U000e0001'",
            ),
        ] {
            assert_eq!(text(given.as_bytes()), shown);
        }
        assert_eq!(text(b"a\xff"), r"'a\xff'");
    }

    #[test]
    fn bytes_are_shown_as_python_shows_them() {
        assert_eq!(bytes(b"X_A='1'"), "b\"X_A='1'\"");
        assert_eq!(bytes("ä\0".as_bytes()), r"b'\xc3\xa4\x00'");
    }
}
