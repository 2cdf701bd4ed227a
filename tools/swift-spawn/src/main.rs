//! `swift-spawn`: start servers, each with its pid file in place before it
//! runs, and wait until they are ready.
#![forbid(unsafe_code)]
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]

mod begun;
mod environment;
mod executable;
mod failure;
mod options;
mod proof;
mod run;
mod start;

use shared::cli::Exit;

shared::entry!(main);

fn main() -> Exit {
    options::TOOL.main(options::parse(std::env::args_os().skip(1)), run::run)
}
