//! Start servers, each with its pid file in place before it runs.
#![forbid(unsafe_code)]

fn main() {}
