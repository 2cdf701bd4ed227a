//! The look-up of a started server as the next command will make it.

use std::io;
use std::os::fd::OwnedFd;

use swift_records::instance::Instance;
use swift_server::process::{self, Identity, Pid, Process};
use swift_sys::beneath;

use crate::company::{carries_tag, member};

/// How many generations of children are searched.
const GENERATIONS: usize = 8;

/// The result of the look-up.
pub enum Lookup {
    /// The next command finds the server.
    Found,
    /// The process executes something at this moment.
    Executing,
    /// The process has ended.
    Ended,
    /// The next command does not find the server, for this reason.
    NotFound(String),
}

/// Inspects a server as the next command will do.
pub fn inspect(process: &Process, instance: &Instance) -> Lookup {
    Lookup::NotFound(match process.classify(instance) {
        // What was seen may have been the process that has its pid now.
        Ok(Identity::Server) if process.has_ended().unwrap_or(false) => return Lookup::Ended,
        Ok(Identity::Server) => return Lookup::Found,
        Ok(Identity::Gone) => return Lookup::Ended,
        Ok(Identity::Starting) => return Lookup::Executing,
        // By its tag alone it may be a wrapper whose server went elsewhere.
        Ok(Identity::Tagged) => match departed_ones(process.pid, instance).is_empty() {
            true => return Lookup::Found,
            false => DEPARTED.to_owned(),
        },
        Ok(Identity::OtherConfig(config)) => {
            format!("it runs with another config, {}", config.display())
        }
        Ok(Identity::Mismatch) => {
            "neither its command line nor its environment shows what it is".to_owned()
        }
        Err(e) => format!("cannot inspect it: {}", swift_sys::error::reason_of(&e)),
    })
}

/// The reason for stopping one whose server went on in another process.
pub const DEPARTED: &str = "it went on in another process, which its pid file does not name";

/// True when the server of a process that is not ready went on in another one,
/// which has closed its output. One whose descriptors may not be seen is taken to have it open.
pub fn has_departed(process: &Process, instance: &Instance, output: &OwnedFd) -> bool {
    let Ok(status) = beneath::status(output) else {
        return false;
    };
    let pipe = format!("pipe:[{}]", status.st_ino);
    let holds = |one: &Process| process::has_open(one.pid, &pipe).unwrap_or(true);
    let is_shown = matches!(process.classify(instance), Ok(Identity::Server));
    !is_shown && !departed_ones(process.pid, instance).iter().all(holds)
}

/// The descendants of a process that carry its tag in other sessions.
fn departed_ones(own: Pid, instance: &Instance) -> Vec<Process> {
    let mut found = Vec::new();
    let mut parents = vec![own];
    for _ in 0..GENERATIONS {
        let children = parents.iter().map(|pid| process::child_numbers(*pid));
        parents = children.filter_map(io::Result::ok).flatten().collect();
        found.extend(parents.iter().filter_map(|pid| {
            member(*pid, |session| {
                session != own.raw() && carries_tag(*pid, instance)
            })
            .ok()?
        }));
    }
    found
}
