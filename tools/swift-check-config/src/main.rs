//! Let Swift's servers check their own configs.
#![forbid(unsafe_code)]
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]

mod options;
mod queue;
mod run;

use shared::cli::Exit;

shared::entry!(main);

fn main() -> Exit {
    options::TOOL.main_of_observer(options::parse(std::env::args_os().skip(1)), run::run)
}
