//! Escapes untrusted bytes for display.

use std::borrow::Cow;

/// Decodes as `decode('utf8', 'backslashreplace')` does: bytes that are not
/// UTF-8 become `\xNN`, everything else stays.
pub fn backslash_replace(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(out)
}

/// True for a character that is not shown itself and changes how others are shown.
/// Control characters drive a terminal. Those that turn the direction of text
/// around (Bidi_Control in the Unicode Character Database) do not, but make one
/// name look like another, and those that part lines or paragraphs make two
/// lines of one. Joiners and other invisible characters are none of them: what
/// is written in many languages needs them.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text for a terminal: characters that steer it, other than newline and tab,
/// are escaped, so that no server's output can drive it or fool its reader.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    fn drives(c: char) -> bool {
        steers(c) && c != '\n' && c != '\t'
    }
    if !text.contains(drives) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\r' => out.push_str("\\r"),
            c if drives(c) && (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if drives(c) => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Bytes on one line, for a message: escaped as for a terminal, newlines and
/// tabs too.
pub fn one_line(bytes: &[u8]) -> String {
    let text = backslash_replace(bytes);
    for_terminal(text.trim_end())
        .replace('\n', "\\n")
        .replace('\t', "\\t")
}

/// The longest word of a message that is shown whole: more than a path can have
/// (PATH_MAX in limits.h).
const LONGEST_WORD: usize = 5000;

/// A message whose longest words are cut in the middle.
pub fn without_long_words(message: &str) -> Cow<'_, str> {
    if message.len() <= LONGEST_WORD {
        return Cow::Borrowed(message);
    }
    let cut = |word: &str| {
        if word.len() <= LONGEST_WORD {
            return word.to_owned();
        }
        let boundary = |at: &usize| word.is_char_boundary(*at);
        let begin = (0..=LONGEST_WORD / 10).rev().find(boundary).unwrap_or(0);
        let end = (word.len() - LONGEST_WORD / 10..=word.len()).find(boundary);
        format!("{}[...]{}", &word[..begin], &word[end.unwrap_or(0)..])
    };
    let words: Vec<String> = message.split(' ').map(cut).collect();
    Cow::Owned(words.join(" "))
}

/// The last line that says something: of what a program prints before it gives
/// up, it is the one that says why.
pub fn last_line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.trim_ascii_end();
    bytes
        .rsplit(|b| *b == b'\n')
        .next()
        .unwrap_or(bytes)
        .trim_ascii()
}

/// Bytes on one line within single quotes, for a message about a bad value.
pub fn quote(bytes: &[u8]) -> String {
    format!("'{}'", one_line(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_is_cut_and_a_long_message_is_not() {
        let long = "\u{e9}".repeat(500_000);
        let cut = without_long_words(&format!("a: {long}: b")).into_owned();
        let half = "\u{e9}".repeat(249);
        assert_eq!(cut, format!("a: {half}\u{e9}[...]{half}: b"));
        let whole = "word ".repeat(5000);
        assert_eq!(without_long_words(&whole), whole);
    }

    #[test]
    fn bytes_become_text_as_in_python() {
        assert_eq!(backslash_replace(b"plain"), "plain");
        assert_eq!(backslash_replace(b"a\xffb\xe2\x82"), "a\\xffb\\xe2\\x82");
        assert_eq!(backslash_replace(b"\x00\r\x1b"), "\x00\r\x1b");
    }

    #[test]
    fn a_terminal_is_not_driven() {
        assert_eq!(
            for_terminal("\x1b[2J\ta\nb\r\u{9b}31m"),
            "\\x1b[2J\ta\nb\\r\\x9b31m"
        );
        assert_eq!(
            for_terminal("a\u{202e}fnoc.b\u{2069}\u{2028}\u{61c}"),
            "a\\u202efnoc.b\\u2069\\u2028\\u061c"
        );
        // What is only written in other letters, or joined, stays.
        assert_eq!(
            for_terminal("\u{5e9}\u{200d}\u{e9}"),
            "\u{5e9}\u{200d}\u{e9}"
        );
        assert_eq!(one_line(b"two\nlines\n"), "two\\nlines");
        assert_eq!(last_line(b"Traceback:\n  x\nError: y \n\n"), b"Error: y");
        assert_eq!(last_line(b""), b"");
    }
}
