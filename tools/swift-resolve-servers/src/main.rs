//! Turn names of Swift's servers into rows, one an instance.
#![forbid(unsafe_code)]

fn main() {}
