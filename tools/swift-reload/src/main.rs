//! Reload a server seamlessly, verified from check to readiness.
#![forbid(unsafe_code)]

fn main() {}
