//! `swift-spawn`: start servers, each with its pid file in place before it
//! runs, and wait until they are ready.

mod company;
mod environment;
mod executable;
mod failure;
mod lookup;
pub mod options;
mod run;
mod start;
mod started;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::COMMAND_LINE.main(run::run)
}
