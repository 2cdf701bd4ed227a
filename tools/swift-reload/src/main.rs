//! `swift-reload`: one verified seamless reload, or several at the same time:
//! proven, checked, signalled, awaited.
#![forbid(unsafe_code)]

mod many;
mod one;
mod options;
mod reload;
mod repr;
mod rows;
mod target;

use std::process::ExitCode;

use options::{Options, What};

fn main() -> ExitCode {
    options::TOOL.main(options::parse(std::env::args_os().skip(1)), run)
}

fn run(options: Options) -> anyhow::Result<shared::cli::Exit> {
    match options.what {
        What::Pid(pid) => one::run(&options, pid),
        What::Rows => rows::run(options),
    }
}
