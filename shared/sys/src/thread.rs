//! Work in a thread of its own, whose rights and namespaces end with it.

use std::io;
use std::thread::{Builder, scope};

/// Does some work in a new thread and waits for it.
pub fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, work)?;
        let panicked = |_| Err(io::Error::other("the thread has panicked"));
        thread.join().unwrap_or_else(panicked)
    })
}
