//! Signal proven processes and wait for their end.
#![forbid(unsafe_code)]

fn main() {}
