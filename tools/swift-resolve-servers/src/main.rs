//! Turn names of Swift's servers into rows, one an instance.
#![forbid(unsafe_code)]
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]

mod configs;
mod list;
mod options;
mod pids;
mod rows;
mod run;
mod section;

use shared::cli::Exit;

shared::entry!(main);

fn main() -> Exit {
    options::TOOL.main_of_observer(options::parse(std::env::args_os().skip(1)), run::run)
}
