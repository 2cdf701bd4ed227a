//! Let Swift's servers check their own configs.
#![forbid(unsafe_code)]

mod options;
mod queue;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    options::TOOL.main_of_observer(options::parse(std::env::args_os().skip(1)), run::run)
}
