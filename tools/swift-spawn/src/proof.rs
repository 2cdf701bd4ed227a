//! Whether the next command will find what was started.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use swift_records::instance::Instance;
use swift_server::process::tag::Environment;
use swift_server::process::{self, Identity, Pid, Process, Runs};
use swift_sys::beneath;
use swift_sys::failpoint;

/// How many generations of children are looked at.
const GENERATIONS: usize = 8;

/// A look at a server that has closed its output.
pub enum Proof {
    /// It is found.
    Holds,
    /// It executes something at this moment.
    Open,
    /// It has ended.
    Ended,
    /// It is not, for this reason.
    Fails(String),
}

/// Looks at a server as the next command will do.
pub fn look(process: &Process, instance: &Instance) -> Proof {
    if is_shown(process, instance) {
        return Proof::Holds;
    }
    let why = match process.classify(instance) {
        Ok(Identity::Gone) => return Proof::Ended,
        Ok(Identity::Starting) => return Proof::Open,
        // By its tag alone it may be a wrapper whose server went elsewhere.
        Ok(Identity::Server) => {
            return match departed_ones(process.pid, instance).is_empty() {
                true => Proof::Holds,
                false => Proof::Fails(DEPARTED.to_owned()),
            };
        }
        Ok(Identity::OtherConfig(config)) => {
            format!("it runs with another config, {}", config.display())
        }
        Ok(Identity::Mismatch) => {
            "neither its command line nor its environment shows what it is".to_owned()
        }
        Err(e) => format!("cannot look at it: {}", swift_sys::error::reason_of(&e)),
    };
    Proof::Fails(why)
}

/// Whether its command line is the proof.
fn is_shown(process: &Process, instance: &Instance) -> bool {
    let runs = process::command_line(process.pid).and_then(|line| match line {
        Some(line) => line.runs(instance.server, instance.config, process.pid),
        None => Ok(Runs::Nothing),
    });
    runs.is_ok_and(|runs| runs == Runs::Config) && !process.has_ended().unwrap_or(true)
}

/// Why it is stopped when its server went on in another process.
pub const DEPARTED: &str = "it went on in another process, which its pid file does not name";

/// Whether the server of a process that is not ready went on in another one,
/// which has closed its output.
pub fn has_departed(process: &Process, instance: &Instance, output: &OwnedFd) -> bool {
    let Ok(status) = beneath::status(output) else {
        return false;
    };
    !is_shown(process, instance)
        && departed_ones(process.pid, instance)
            .iter()
            .any(|one| !holds(one.pid, status.st_ino))
}

/// How often all processes are looked at, as long as some end meanwhile.
const PASSES: usize = 16;

/// All other processes that belong to a started one: those of its session, and
/// those that carry the tag of an instance elsewhere.
///
/// Whatever ends between the list and the look may have gone on in a child that
/// is not in the list, as a server does that forks twice. Then all are looked at
/// again.
pub fn company(own: Pid, tag: Option<&Instance>) -> Vec<Process> {
    let (mut found, mut ended_before) = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        found.clear();
        let mut ended = Vec::new();
        for pid in others_than(own) {
            let look = companion(pid, |session| {
                session == own.raw() || tag.is_some_and(|tag| carries_tag(pid, tag))
            });
            match look {
                Look::One(process) => found.push(process),
                Look::Other => {}
                Look::Ended => ended.push(pid),
            }
        }
        if ended.iter().all(|pid| ended_before.contains(pid)) {
            break;
        }
        ended_before = ended;
    }
    found
}

fn others_than(own: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| Pid::parse(name.as_bytes()));
    let others = pids.filter(|pid| *pid != own).collect();
    failpoint::at("listed");
    others
}

/// The descendants of a process that carry its tag in other sessions.
fn departed_ones(own: Pid, instance: &Instance) -> Vec<Process> {
    let mut found = Vec::new();
    let mut parents = vec![own];
    for _ in 0..GENERATIONS {
        let children = parents.iter().map(|pid| process::child_numbers(*pid));
        parents = children.filter_map(io::Result::ok).flatten().collect();
        found.extend(parents.iter().filter_map(|pid| {
            let look = companion(*pid, |session| {
                session != own.raw() && carries_tag(*pid, instance)
            });
            look.one()
        }));
    }
    found
}

/// A look at a process that may belong to a started one.
enum Look {
    One(Process),
    Other,
    /// It has ended, perhaps since it was listed.
    Ended,
}

impl Look {
    fn one(self) -> Option<Process> {
        match self {
            Look::One(process) => Some(process),
            Look::Other | Look::Ended => None,
        }
    }
}

/// Looks whether a process is one by its session and more.
fn companion(pid: Pid, is_one: impl Fn(i32) -> bool) -> Look {
    let look = || -> io::Result<Look> {
        let Some(process) = Process::open(pid)? else {
            return Ok(Look::Ended);
        };
        let Some(stat) = process::stat(pid)? else {
            return Ok(Look::Ended);
        };
        let is_one = is_one(stat.session);
        // Had it ended before the looks, they may have met another process; and
        // exit takes its environment before the pidfd says that it is gone.
        let is_ending = process::stat(pid)?.is_none_or(|stat| stat.is_ending());
        Ok(match is_ending || process.has_ended()? {
            true => Look::Ended,
            false if is_one => Look::One(process),
            false => Look::Other,
        })
    };
    look().unwrap_or(Look::Other)
}

/// Whether a process carries the tag. One whose environment may not be read
/// carries none that can be seen.
fn carries_tag(pid: Pid, instance: &Instance) -> bool {
    let runs = Environment::read(pid).and_then(|environment| match environment {
        Some(environment) => environment.runs(instance),
        None => Ok(Runs::Nothing),
    });
    runs.is_ok_and(|runs| runs == Runs::Config)
}

/// Whether a process has the pipe of that inode open. One whose descriptors may
/// not be seen is taken to.
fn holds(pid: Pid, inode: u64) -> bool {
    let pipe = format!("pipe:[{inode}]");
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return true;
    };
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.into_iter().any(|link| link.as_os_str() == &*pipe)
}
