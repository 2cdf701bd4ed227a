//! `swift-init`: start, stop, look at and reload OpenStack Swift's servers, by
//! composing the tools beside it in pipelines.

mod actors;
mod commands;
mod console;
mod environment;
mod events;
mod explain;
mod interrupt;
mod log;
mod observe;
pub mod options;
mod outcome;
mod plan;
mod reaper;
mod requests;
mod run;
mod table;
mod tool;
mod tool_process;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::COMMAND_LINE.main(commands::run)
}
