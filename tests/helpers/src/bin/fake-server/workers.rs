//! Children of a fake server.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getppid};

use crate::Invocation;
use crate::settings::Settings;

/// The environment variable that makes a fake server a worker, since its arguments must not. It holds
/// the server's pid.
pub const MARK: &str = "FAKE_SERVER_WORKER";

/// The workers that run.
#[derive(Debug)]
pub struct Workers(Vec<Pid>);

impl Workers {
    /// Starts this many.
    pub fn start(call: &Invocation, count: usize) -> Workers {
        Workers((0..count).map(|_| start_one(call)).collect())
    }

    /// Starts a new worker for each that ended.
    pub fn replace(&mut self, call: &Invocation, ended: &[Pid]) {
        for worker in self.0.iter_mut().filter(|worker| ended.contains(worker)) {
            *worker = start_one(call);
        }
    }

    /// Starts new ones and lets the old ones go.
    pub fn renew(&mut self, call: &Invocation, count: usize) {
        let old = std::mem::replace(self, Workers::start(call, count));
        for worker in old.0 {
            let _ = kill(worker, Signal::SIGHUP);
        }
    }
}

/// Executes this very program anew, under the same command line as the server's, and waits until it
/// is ready: until it closes its output.
#[expect(
    clippy::zombie_processes,
    reason = "the server reaps all its children when SIGCHLD comes"
)]
fn start_one(call: &Invocation) -> Pid {
    let mut command = Command::new("/proc/self/exe");
    let name = std::env::args_os()
        .next()
        .unwrap_or_else(|| call.name.clone().into());
    command
        .arg0(name)
        .args(std::env::args_os().skip(1))
        .env(MARK, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("a worker can be started");
    // Not by the worker itself: a test that knows of its start may end the sandbox at once.
    crate::record::enter(child.id());
    if let Some(mut output) = child.stdout.take() {
        let _ = output.read_to_end(&mut Vec::new());
    }
    Pid::from_raw(i32::try_from(child.id()).expect("a pid"))
}

/// A worker, which does nothing, until TERM or HUP, or until its server is gone.
pub fn work(settings: &Settings) -> ! {
    let mut handled = SigSet::empty();
    handled.add(Signal::SIGTERM);
    handled.add(Signal::SIGHUP);
    handled.thread_block().expect("signals can be blocked");
    if !settings.linger {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).expect("a death signal can be set");
        // The server may have gone before there was a death signal.
        let server = std::env::var(MARK).unwrap_or_default();
        if getppid().to_string() != server {
            std::process::exit(0);
        }
    }
    crate::close_outputs();
    loop {
        let signal = handled.wait().expect("the set is valid");
        if !settings.ignore.contains(signal) {
            std::process::exit(0);
        }
    }
}

/// Leaves a child behind that holds the server's outputs until it is ended; with `own_group` it is
/// in a process group of its own, where no signal to the server's reaches it.
#[expect(
    clippy::zombie_processes,
    reason = "the server reaps all its children when SIGCHLD comes"
)]
pub fn hold_output(own_group: bool) {
    let mut command = Command::new("sleep");
    if own_group {
        command.process_group(0);
    }
    let child = command.arg("1000").spawn().expect("sleep can be started");
    crate::record::enter(child.id());
}
