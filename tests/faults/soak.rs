//! How often a test does what it does.

/// So many times in `make test`, and so many in `make soak`.
pub fn times(short: usize, long: usize) -> usize {
    if std::env::var_os("SWIFT_SOAK").is_some() {
        long
    } else {
        short
    }
}
