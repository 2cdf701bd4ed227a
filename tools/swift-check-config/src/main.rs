//! Let servers check their own configs before anything is done to them.
#![forbid(unsafe_code)]

fn main() {}
