//! `swift-signal`: signal proven processes, wait for their end, then remove
//! their pid files.
#![forbid(unsafe_code)]
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]

mod act;
mod jobs;
mod options;
mod run;
mod tidy;

use shared::cli::Exit;

shared::entry!(main);

fn main() -> Exit {
    options::TOOL.main(options::parse(std::env::args_os().skip(1)), run::run)
}
