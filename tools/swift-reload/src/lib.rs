//! `swift-reload`: one verified seamless reload, or several at the same time:
//! proven, checked, signalled, awaited.

mod announcements;
mod environment;
mod failure;
mod idle;
mod news;
mod one;
pub mod options;
mod reload;
mod reloads;
mod repr;
mod rows;
mod served;
mod target;
mod unit;
mod witness;

use swift_cli::Exit;

use options::Options;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::TOOL.main(options::parse(std::env::args_os().skip(1)), run)
}

fn run(options: Options) -> anyhow::Result<Exit> {
    match options.pid {
        Some(pid) => one::run(&options, pid),
        None => rows::run(options),
    }
}
