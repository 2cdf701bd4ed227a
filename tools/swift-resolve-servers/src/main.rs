//! Turn names of Swift's servers into rows, one an instance.
#![forbid(unsafe_code)]

mod configs;
mod list;
mod options;
mod pids;
mod rows;
mod run;
mod section;

use std::process::ExitCode;

fn main() -> ExitCode {
    options::TOOL.main_of_observer(options::parse(std::env::args_os().skip(1)), run::run)
}
