//! The other processes that belong to a started server: its workers, and what it left behind.

use std::io;

use swift_records::instance::Instance;
use swift_server::process::tag::Environment;
use swift_server::process::{self, Pid, Process, Runs};
use swift_sys::epoll::Epoll;
use swift_sys::failpoint;
use swift_sys::signal::Signal;

/// How often members are searched anew while a company is stopped.
const ROUNDS: usize = 16;

/// How often all processes are listed, as long as some end meanwhile.
const PASSES: usize = 16;

/// The members that are awaited.
#[derive(Debug)]
pub struct Company {
    /// The server's own process.
    own: Pid,
    /// The token of all members' ends.
    token: u64,
    members: Vec<Process>,
}

impl Company {
    /// No members yet of the server with that pid.
    pub fn new(own: Pid, token: u64) -> Company {
        Company {
            own,
            token,
            members: Vec::new(),
        }
    }

    /// Awaits the members that are not known yet, and returns them.
    fn search(&mut self, epoll: &Epoll, tag: Option<&Instance>) -> io::Result<&[Process]> {
        let known = self.members.len();
        for process in find(self.own, tag) {
            if self.members[..known]
                .iter()
                .all(|one| one.pid != process.pid)
            {
                epoll.add(&process, self.token)?;
                self.members.push(process);
            }
        }
        Ok(&self.members[known..])
    }

    /// Stops all members. One that is found may fork before it is signalled, so this goes on until
    /// none is left unsignalled.
    pub fn stop(&mut self, epoll: &Epoll, tag: Option<&Instance>, kill: bool) -> io::Result<()> {
        for _ in 0..ROUNDS {
            let found = self.search(epoll, tag)?;
            if found.is_empty() {
                break;
            }
            for process in found {
                // One that may not be signalled is reported at the deadline.
                let _ = match kill {
                    true => process.kill_group(),
                    false => process.signal(Signal::TERM),
                };
            }
        }
        Ok(())
    }

    /// Kills the members that are known.
    pub fn kill(&self) {
        for process in &self.members {
            // One that may not be killed is reported at the deadline.
            let _ = process.kill_group();
        }
    }

    /// True when members of the server's session are left. They are awaited: after a graceful stop,
    /// workers finish their requests when the process that forked them is gone.
    pub fn is_left(&mut self, epoll: &Epoll) -> io::Result<bool> {
        if self.members.is_empty() {
            self.search(epoll, None)?;
        }
        Ok(!self.members.is_empty())
    }

    /// True when no member is known.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Forgets the members that have ended.
    pub fn forget_ended(&mut self) {
        self.members
            .retain(|member| !member.has_ended().unwrap_or(false));
    }
}

/// All other processes that belong to a started one: those of its session, and
/// those that carry the tag of an instance elsewhere.
///
/// A process that ends after it was listed may have gone on in a child that
/// is not in the list, as a server does that forks twice. Then all are listed
/// again.
pub fn find(own: Pid, tag: Option<&Instance>) -> Vec<Process> {
    let (mut found, mut ended_before) = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        found.clear();
        let mut ended = Vec::new();
        for pid in others_than(own) {
            let found_one = member(pid, |session| {
                session == own.raw() || tag.is_some_and(|tag| carries_tag(pid, tag))
            });
            match found_one {
                Ok(process) => found.extend(process),
                Err(Ended) => ended.push(pid),
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
    let pids = process::pids().into_iter().flatten().flatten();
    let others = pids.filter(|pid| *pid != own).collect();
    failpoint::at("listed");
    others
}

/// A process that has ended, perhaps since it was listed.
pub struct Ended;

/// Opens a process that is a member; none when it is not, or cannot be inspected.
pub fn member(pid: Pid, is_one: impl Fn(i32) -> bool) -> Result<Option<Process>, Ended> {
    let inspect = || -> io::Result<Result<Option<Process>, Ended>> {
        let (Some(process), Some(stat)) = (Process::open(pid)?, process::stat(pid)?) else {
            return Ok(Err(Ended));
        };
        let is_one = is_one(stat.session);
        // Had it ended before this, another process may have been met; and
        // exit takes its environment before the pidfd says that it is gone.
        let is_ending = process::stat(pid)?.is_none_or(|stat| stat.is_ending());
        Ok(match is_ending || process.has_ended()? {
            true => Err(Ended),
            false => Ok(is_one.then_some(process)),
        })
    };
    inspect().unwrap_or(Ok(None))
}

/// True when a process carries the tag. One whose environment may not be read
/// carries none that can be seen.
pub fn carries_tag(pid: Pid, instance: &Instance) -> bool {
    let runs = Environment::read(pid).and_then(|environment| match environment {
        Some(environment) => environment.runs(instance),
        None => Ok(Runs::Nothing),
    });
    runs.is_ok_and(|runs| runs == Runs::Config)
}
