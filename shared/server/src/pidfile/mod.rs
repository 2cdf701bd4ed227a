//! Pid files: reading one, judging it by the process that it names, and changing it.

mod change;
mod cleaner;
mod judge;
mod read;
#[cfg(test)]
mod tests;

pub use change::{remove_if, remove_if_stale, replace};
pub use cleaner::PidFileCleaner;
pub use judge::{Finding, prove, verify, wrong_config};
pub use read::{Content, Look, MAX_SIZE, read};
