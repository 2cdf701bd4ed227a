//! Code that the tests of the tools share.
//!
//! - [`Sandbox`]: a directory with a Swift configuration, a run directory and a `bin` full of fake
//!   servers; on demand a private namespace in which they stand at /etc/swift and /run/swift.
//! - [`run`] and [`Outcome`]: a command bounded in time, and what it said.
//! - The program `fake-server`, which behaves as its configuration file says.
//! - [`lab`]: a small real Swift, and [`http`] to speak to it.
//! - [`systemd`]: a live systemd, with the tools and their units installed.
//!
//! Nothing here touches the machine's own /etc/swift, finds a process by its name, or sleeps to see
//! whether something has happened.
#![forbid(unsafe_code)]

mod completion;
pub mod documents;
pub mod http;
pub mod lab;
mod load;
mod namespace;
pub mod pidfd;
mod pids;
mod run;
mod sandbox;
pub mod systemd;
mod values;

pub use load::{Counts, Load};
pub use namespace::Namespace;
pub use run::{LIMIT, Outcome, ends_within, finish, run, run_with};
pub use sandbox::{SERVERS, Sandbox, tools_dir};
pub use values::lines_of;

/// Prints a line that shows although the test passes, whose own output is captured then.
pub fn report(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{what}");
}
