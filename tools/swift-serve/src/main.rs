//! Hold listen sockets, keep workers, reload without losing a connection.
#![forbid(unsafe_code)]

mod address;
mod conf;
mod connections;
mod environment;
mod event;
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
mod standby;
mod state;
mod status;
mod stop;
mod worker;
mod workers;

use shared::cli::Exit;
use shared::sys::signals::Inbox;

use invocation::Invocation;
use options::Job;

fn main() -> Exit {
    options::TOOL.main(options::parse(invocation::arguments()), run)
}

/// Does what was asked for.
fn run(job: Job) -> anyhow::Result<Exit> {
    match job {
        Job::Status(pid) => status::ask(pid),
        Job::Check(server) => file::load(&server).map(|_| Exit::Ok),
        Job::Serve(server) => {
            // Before anything else: what comes from now on waits.
            let inbox = Inbox::taking(event::SIGNALS)?;
            let invocation = Invocation::of(server);
            if !environment::is_handed_over() {
                invocation.take_name();
            }
            manager::run(invocation, inbox)
        }
    }
}
