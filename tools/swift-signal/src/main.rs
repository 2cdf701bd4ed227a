//! `swift-signal`: signal proven processes, wait for their end, then remove
//! their pid files.
#![forbid(unsafe_code)]

mod act;
mod jobs;
mod options;
mod run;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    options::TOOL.main(options::parse(std::env::args_os().skip(1)), run::run)
}
