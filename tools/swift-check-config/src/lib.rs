//! Let Swift's servers check their own configs.

pub mod options;
mod queue;
mod run;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::COMMAND_LINE.main(run::run)
}
