//! `swift-signal`: signal proven processes, wait for their end, then remove
//! their pid files.

mod jobs;
pub mod options;
mod run;
mod send;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::COMMAND_LINE.main(run::run)
}
