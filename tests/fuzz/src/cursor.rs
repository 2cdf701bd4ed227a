//! Decisions drawn from an input, so that the fuzzer steers what is built from it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// The part of an input that was not used yet. At its end every decision is the first one.
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// An input from its beginning.
    pub fn new(data: &'a [u8]) -> Cursor<'a> {
        Cursor(data)
    }

    /// Whether everything was used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// One of these.
    pub fn choose<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// At most that many of the next bytes.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Everything up to that byte, which is passed over, or up to the end.
    pub fn until(&mut self, end: u8) -> &'a [u8] {
        let at = self.0.iter().position(|b| *b == end);
        let taken = self.take(at.unwrap_or(self.0.len()));
        self.take(1);
        taken
    }

    /// A path up to a NUL: a byte from 0xc0 on stands for one of these parts, where there is one.
    pub fn path(&mut self, parts: &[&str]) -> PathBuf {
        let mut bytes = Vec::new();
        for byte in self.until(0) {
            let part = usize::from(*byte).checked_sub(0xc0);
            match part.and_then(|part| parts.get(part)) {
                Some(part) => bytes.extend_from_slice(part.as_bytes()),
                None => bytes.push(*byte),
            }
        }
        OsString::from_vec(bytes).into()
    }

    /// A number of eight bytes.
    pub fn number(&mut self) -> u64 {
        self.take(8)
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}
