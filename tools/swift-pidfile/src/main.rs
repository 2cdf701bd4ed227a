//! Say what runs, from pid files and /proc.
#![forbid(unsafe_code)]

fn main() {}
