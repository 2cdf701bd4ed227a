//! Say which of Swift's servers run, from pid files and /proc.
#![forbid(unsafe_code)]
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]

mod batch;
mod examine;
mod options;
mod run;

use shared::cli::Exit;

shared::entry!(main);

fn main() -> Exit {
    options::TOOL.main_of_observer(options::parse(std::env::args_os().skip(1)), run::run)
}
