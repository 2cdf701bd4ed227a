//! Say which of Swift's servers run, from pid files and /proc.
#![forbid(unsafe_code)]

mod batch;
mod examine;
mod options;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    options::TOOL.main_of_observer(options::parse(std::env::args_os().skip(1)), run::run)
}
