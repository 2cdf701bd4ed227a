//! `swift-reload`: one verified seamless reload, or several at the same time:
//! proven, checked, signalled, awaited.

mod announcements;
mod environment;
mod failure;
mod idle;
mod news;
pub mod options;
mod original;
mod reload;
mod repr;
mod run;
mod served;
mod target;
mod unit;
mod witness;

use swift_cli::Exit;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::COMMAND_LINE.main(run::run)
}
