//! For tests: the same with openat2(2) and without it.

use std::cell::Cell;

thread_local! {
    /// True when this thread's test opens as if openat2(2) were refused.
    pub static FORCED: Cell<bool> = const { Cell::new(false) };
}

/// Plays a test with openat2(2), and once more without it.
pub fn both_ways(test: impl Fn()) {
    for without in [false, true] {
        FORCED.set(without);
        test();
    }
    FORCED.set(false);
}
