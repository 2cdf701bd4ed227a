//! Workers that a manager which was killed has left behind, found by what
//! stands in their environment.

use std::io;
use std::path::Path;

use swift_server::process::tag::Environment;
use swift_server::process::{self, Pid, Process, command_line, pids};
use swift_server::user;
use swift_sys::netns;

use crate::environment::{GENERATION, MANAGER, SERVER, WORKER};
use crate::invocation::Invocation;
use crate::peers::{self, Peer};

/// Searches for workers that are just about to execute.
const ROUNDS: usize = 10;

/// The mark of a server's workers: its file and its config.
pub fn mark(invocation: &Invocation) -> String {
    let whole = |path: &Path| {
        let whole = invocation.directory.join(path);
        let whole = std::path::absolute(&whole).unwrap_or(whole);
        whole.to_string_lossy().into_owned()
    };
    let server = &invocation.server;
    let conf = server.conf.as_deref().map(whole).unwrap_or_default();
    format!("{} {conf}", whole(&server.file))
}

/// A process with its environment.
struct Found {
    process: Process,
    environment: Environment,
}

impl Found {
    /// The value of a variable, if it is a number.
    fn number(&self, name: &str) -> Option<u64> {
        self.environment.value(name)?.to_str()?.parse().ok()
    }
}

/// All processes whose environment has these variables, this process aside.
/// Each was opened before its environment was read.
fn search(variables: &[(&str, String)]) -> Vec<Found> {
    let own = Pid::own();
    let pids = pids().into_iter().flatten().flatten();
    let mut found = Vec::new();
    for pid in pids.filter(|pid| *pid != own) {
        let Ok(Some(process)) = Process::open(pid) else {
            continue;
        };
        let Ok(Some(environment)) = Environment::read(pid) else {
            continue;
        };
        let has = |(name, wanted): &(&str, String)| {
            let value = environment.value(name);
            value.is_some_and(|value| value.as_os_str() == wanted.as_str())
        };
        if variables.iter().all(has) && !process.has_ended().unwrap_or(true) {
            found.push(Found {
                process,
                environment,
            });
        }
    }
    found
}

/// The workers of this server that a dead manager has started, each with its generation: searched until a
/// search finds no further one, since one may just be executing. The server is looked at too: a manager of
/// another one that was killed earlier may have had the same pid, and its workers serve on.
pub fn of_manager(invocation: &Invocation, manager: Pid) -> Vec<(Process, u64)> {
    let variables = [(SERVER, mark(invocation)), (MANAGER, manager.to_string())];
    let mut all: Vec<(Process, u64)> = Vec::new();
    for _ in 0..ROUNDS {
        let before = all.len();
        for found in workers_of(search(&variables)) {
            let number = found.number(GENERATION).unwrap_or(0);
            if !all.iter().any(|(other, _)| other.pid == found.process.pid) {
                all.push((found.process, number));
            }
        }
        if all.len() == before {
            break;
        }
    }
    all
}

/// The workers among these processes. Their own processes have their environment, and are theirs to end as
/// long as they are there.
fn workers_of(mut found: Vec<Found>) -> Vec<Found> {
    let pid = |one: &Found| one.process.pid.raw() as u64;
    let all: Vec<u64> = found.iter().map(pid).collect();
    found.retain(|one| {
        let worker = one.number(WORKER).unwrap_or(0);
        worker == pid(one) || !all.contains(&worker)
    });
    found
}

/// The workers of this server that no manager has, each with its generation. Workers run as root, as the
/// user of this process, or as `identity`: another user's process may say of itself what it likes.
pub fn find(invocation: &Invocation, identity: Option<u32>) -> io::Result<Vec<(Process, u64)>> {
    let mut found = search(&[(SERVER, mark(invocation))]);
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let users: Vec<u32> = [0, user::own()].into_iter().chain(identity).collect();
    let is_ours = |one: &Found| {
        let pid = one.process.pid;
        let user = process::user(pid).ok().flatten();
        user.is_some_and(|user| users.contains(&user.uid))
            && !netns::is_foreign(pid)
            && !one.process.has_ended().unwrap_or(true)
    };
    found.retain(is_ours);
    let mut found = workers_of(found);
    let line = command_line(Pid::own())?;
    let peers = peers::all(&users)?;
    let has = |peer: &Peer, one: &Found| match &peer.workers {
        Some(workers) => workers.contains(&one.process.pid),
        // One that is stopped, or just about to take over.
        None => {
            one.number(MANAGER) == Some(peer.pid.raw() as u64)
                || command_line(peer.pid).ok().flatten() == line
        }
    };
    found.retain(|one| !peers.iter().any(|peer| has(peer, one)));
    let number = |one: &Found| one.number(GENERATION).unwrap_or(0);
    let found = found.into_iter();
    Ok(found
        .map(|one| (number(&one), one))
        .map(|(number, one)| (one.process, number))
        .collect())
}
