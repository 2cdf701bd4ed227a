//! Let Swift's servers check their own configs.

pub mod options;
mod queue;
mod run;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::TOOL.main(
        options::COMMAND_LINE.parse(std::env::args_os().skip(1)),
        run::run,
    )
}
