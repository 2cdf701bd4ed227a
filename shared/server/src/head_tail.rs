//! The first and the last of what a server printed.

use std::collections::VecDeque;

/// How much is kept at either end, in bytes.
pub const KEPT: usize = 32 * 1024;

/// Collects output of any length in bounded memory: its first and last 32 KiB,
/// and how much was left out between them.
#[derive(Debug, Default)]
pub struct HeadTail {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl HeadTail {
    /// Takes further output in.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = (KEPT - self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    /// True when nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// The text, with a line in its middle that says how much is missing there.
    pub fn text(&self) -> Vec<u8> {
        let mut text = self.head.clone();
        if self.left_out > 0 {
            text.extend_from_slice(format!("\n[{} bytes left out]\n", self.left_out).as_bytes());
        }
        text.extend(&self.tail);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_output_is_kept_whole() {
        let mut head_tail = HeadTail::default();
        assert!(head_tail.is_empty());
        head_tail.push(b"one\n");
        head_tail.push(b"two\n");
        assert_eq!(head_tail.text(), b"one\ntwo\n");
    }

    #[test]
    fn long_output_loses_its_middle_however_it_arrives() {
        let all: Vec<u8> = (0..300_000u32).map(|i| b'a' + (i % 26) as u8).collect();
        for piece in [1000, 4096, 65536, 100_000, 300_000] {
            let mut head_tail = HeadTail::default();
            all.chunks(piece).for_each(|c| head_tail.push(c));
            let mut expected = all[..KEPT].to_vec();
            expected.extend(format!("\n[{} bytes left out]\n", 300_000 - 2 * KEPT).bytes());
            expected.extend(&all[300_000 - KEPT..]);
            assert_eq!(head_tail.text(), expected, "in pieces of {piece}");
        }
    }
}
