//! Workers that a manager which was killed has left behind, found by what
//! stands in their environment.

use std::path::Path;

use swift_server::process::{Pid, Process, command_line, environment, pids};
use swift_sys::signal::Signal;

use crate::environment::{GENERATION, MANAGER, SERVER};
use crate::invocation::Invocation;
use crate::status;

/// Searches for workers that are just about to execute.
const ROUNDS: usize = 10;

/// The mark of a server's workers: its file and its config.
pub fn mark(invocation: &Invocation) -> String {
    let whole = |path: &Path| {
        let whole = std::path::absolute(path).unwrap_or(path.into());
        whole.to_string_lossy().into_owned()
    };
    let server = &invocation.server;
    let conf = server.conf.as_deref().map(whole).unwrap_or_default();
    format!("{} {conf}", whole(&server.file))
}

/// All processes whose environment has these variables, this process aside.
/// Each was opened before its environment was read.
fn search(variables: &[(&str, String)]) -> Vec<Process> {
    let wanted: Vec<Vec<u8>> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}").into_bytes())
        .collect();
    let own = std::process::id() as i32;
    let mut found = Vec::new();
    for pid in pids()
        .into_iter()
        .flatten()
        .flatten()
        .filter(|pid| pid.raw() != own)
    {
        let Ok(Some(process)) = Process::open(pid) else {
            continue;
        };
        let environment = environment(pid).ok().flatten().unwrap_or_default();
        let has = |one: &Vec<u8>| environment.split(|b| *b == 0).any(|other| other == one);
        if wanted.iter().all(has) && !process.has_ended().unwrap_or(true) {
            found.push(process);
        }
    }
    found
}

/// The workers of a generation whose manager is dead: searched until a search
/// finds no further one, since one may just be executing. The server is looked
/// at too: a manager of another one that was killed earlier may have had the
/// same number, and its workers serve on.
pub fn of_generation(invocation: &Invocation, manager: Pid, generation: u64) -> Vec<Process> {
    let variables = [
        (SERVER, mark(invocation)),
        (MANAGER, manager.to_string()),
        (GENERATION, generation.to_string()),
    ];
    let mut all: Vec<Process> = Vec::new();
    for _ in 0..ROUNDS {
        let before = all.len();
        for process in search(&variables) {
            if !all.iter().any(|other| other.pid == process.pid) {
                all.push(process);
            }
        }
        if all.len() == before {
            break;
        }
    }
    all
}

/// Signals the workers of this server that have no manager any more, and
/// returns their number. With a live manager there are none.
pub fn end(invocation: &Invocation, signal: Signal) -> usize {
    let own = Pid::own();
    let line = command_line(own).ok().flatten();
    // A process that only waits for another one's end bears the same command line.
    let is_managed = pids().into_iter().flatten().flatten().any(|pid| {
        let same = || {
            command_line(pid)
                .ok()
                .flatten()
                .is_some_and(|it| Some(it) == line)
        };
        pid != own && same() && status::is_manager(pid)
    });
    if is_managed {
        return 0;
    }
    let left = search(&[(SERVER, mark(invocation))]);
    left.iter()
        .filter(|one| one.signal(signal).unwrap_or(false))
        .count()
}
