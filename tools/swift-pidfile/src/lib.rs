//! Say which of Swift's servers run, from pid files and /proc.

mod batch;
mod examine;
pub mod options;
mod run;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::COMMAND_LINE.main(run::run)
}
