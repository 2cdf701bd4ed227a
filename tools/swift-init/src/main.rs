//! Start, stop, look at and reload OpenStack Swift's servers.
#![forbid(unsafe_code)]

fn main() {}
