//! Turn names of Swift's servers into rows, one an instance.

pub mod configs;
mod list;
pub mod options;
pub mod pids;
mod rows;
mod run;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::COMMAND_LINE.main(run::run)
}
