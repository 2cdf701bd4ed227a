//! `swift-init`: start, stop, look at and reload OpenStack Swift's servers, by
//! composing the tools beside it in pipelines.

mod act;
mod actor;
mod command;
mod environment;
mod explain;
mod foreground;
mod group;
mod help;
mod index;
mod init;
mod interrupt;
mod log;
mod observe;
pub mod options;
mod plan;
mod progress;
mod report;
mod requests;
mod seamless;
mod service;
mod session;
mod stage;
mod start;
mod status;
mod stop;
mod stop_all;
mod systemd;
mod voice;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::TOOL.main(options::parse(std::env::args_os().skip(1)), command::run)
}
