//! Hold listen sockets, keep workers, reload without losing a connection.

pub mod address;
mod adopt;
pub mod conf;
mod connections;
mod descendants;
mod environment;
mod event;
pub mod file;
mod generation;
mod handover;
mod invocation;
mod log;
mod manager;
mod mending;
mod notify;
pub mod options;
mod orphans;
mod peers;
mod pid_file;
mod readiness;
mod reload;
mod run;
mod sockets;
mod standby;
mod start;
mod state;
mod status;
mod stop;
mod takeover;
mod worker;
mod workers;

use anyhow::Context as _;
use swift_cli::Exit;
use swift_sys::signal_fd::SignalFd;

use invocation::Invocation;
use options::Job;

/// The program, from its arguments to its exit status.
pub fn main() -> Exit {
    options::TOOL.main(options::COMMAND_LINE.parse(invocation::arguments()), run)
}

/// Does what was asked for.
fn run(job: Job) -> anyhow::Result<Exit> {
    match job {
        Job::Status(pid) => status::ask(pid),
        Job::Check(server) => {
            if let Some(version) = environment::state_version() {
                state::check_version(version).context("cannot take over the running server")?;
            }
            file::load(&server).map(|_| Exit::Ok)
        }
        Job::Serve(server) => {
            // Before anything else: what comes from now on waits.
            let signals = SignalFd::taking(event::SIGNALS)?;
            let invocation = Invocation::of(server);
            if !environment::is_handed_over() {
                invocation.take_name();
            }
            run::run(invocation, signals)
        }
    }
}
