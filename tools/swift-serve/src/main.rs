//! Hold listen sockets, keep workers, reload without losing a connection.
#![forbid(unsafe_code)]

mod address;
mod conf;
mod connections;
mod environment;
mod file;
mod generation;
mod handover;
mod invocation;
mod keeper;
mod leftovers;
mod log;
mod manager;
mod notify;
mod options;
mod reload;
mod sockets;
mod status;
mod stop;
mod worker;
mod workers;

use shared::cli::Exit;

fn main() -> Exit {
    options::TOOL.main(options::parse(invocation::arguments()), invocation::run)
}
