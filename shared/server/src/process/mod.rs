//! Process identity: a process is what a pidfd stands for, and it is a row's
//! server only when /proc, looked at after the pidfd was opened, says so.
//!
//! A number read from a file proves nothing: it may have passed to another
//! process. So the order is always the same: open a pidfd, look at /proc, act
//! through the pidfd. Had the number passed on between the first two, the pidfd
//! stands for the dead one, and acting through it reaches no process.

pub mod accepting;
mod children;
mod effect;
mod interpreter;
mod line;
mod stat;
mod status;
pub mod tag;
mod unit;

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use swift_records::instance::Instance;
use swift_sys::failpoint;
use swift_sys::pidfd;
use swift_sys::signal::Signal;

pub use children::{child_numbers, descendants};
pub use effect::{Effect, effect};
pub use line::{CommandLine, Runs, command_line, shebang};
pub use stat::{PROC_MAX, Stat, environment, has_open, pids, stat};
pub use status::{
    Disposition, disposition, has_capabilities, may_be_signalled_by, parse_user, user,
};
pub use swift_sys::pid::Pid;
pub use unit::Unit;

use line::is_config;
use stat::{LOOKS, PF_KTHREAD};
use tag::Environment;

/// The name of the tool that starts servers. A child of it that stands between
/// clone and exec has its command line, and a name of its own:
/// [`swift_sys::spawn::PRE_EXEC`].
const STARTER: &str = "swift-spawn";

/// A process that cannot turn into another one.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    fd: OwnedFd,
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Process {
    /// Opens the process that has this number now; none when there is none.
    pub fn open(pid: Pid) -> io::Result<Option<Process>> {
        Ok(pidfd::open(pid)?.map(|fd| Process { pid, fd }))
    }

    /// A child that was just started.
    pub fn from_child(child: swift_sys::spawn::Child) -> Process {
        Process::adopt(child.pid, child.pidfd)
    }

    /// A process that was handed over across exec with the descriptor that
    /// stands for it.
    pub fn adopt(pid: Pid, fd: OwnedFd) -> Process {
        Process { pid, fd }
    }

    /// Sends a signal to it; `false` when it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        gone(pidfd::send(&self.fd, signal))
    }

    /// True when it may be signalled; `None` when it is gone.
    pub fn may_signal(&self) -> io::Result<Option<bool>> {
        match pidfd::probe(&self.fd) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(Some(false)),
            result => Ok(gone(result)?.then_some(true)),
        }
    }

    /// True when it has ended. A zombie has.
    pub fn has_ended(&self) -> io::Result<bool> {
        swift_sys::fd::is_readable(&self.fd)
    }

    /// True when it has ended and its status was not taken: as long as that is so,
    /// no other process can have its pid.
    pub fn is_zombie(&self) -> io::Result<bool> {
        Ok(self.has_ended()? && self.may_signal()?.is_some())
    }

    /// Kills the process group that it leads, or it alone when it leads none;
    /// `false` when it is gone already.
    pub fn kill_group(&self) -> io::Result<bool> {
        let leads = stat(self.pid)?.is_some_and(|stat| stat.group == self.pid.raw());
        // Had the number passed on before the look, the pidfd says so now.
        if leads && !self.has_ended()? {
            failpoint::at("leads");
            match pidfd::send_group(&self.fd, Signal::KILL) {
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => self.kill_members()?,
                // There is no such group any more: it may have left it just now.
                Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
                result => return gone(result),
            }
        }
        self.signal(Signal::KILL)
    }

    /// Kills the members of its group one by one, for kernels before 6.9: each
    /// through a pidfd, its group read after that was opened, while the leader,
    /// whose number the group has, is still there.
    fn kill_members(&self) -> io::Result<()> {
        for pid in pids()? {
            let pid = pid?;
            if pid == self.pid {
                continue;
            }
            let Some(member) = Process::open(pid)? else {
                continue;
            };
            failpoint::at("member-opened");
            let in_group = stat(pid)?.is_some_and(|stat| stat.group == self.pid.raw());
            if in_group && !self.has_ended()? {
                match member.signal(Signal::KILL) {
                    // As when the kernel signals a group: who may be killed is.
                    Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                    result => drop(result?),
                }
            }
        }
        Ok(())
    }

    /// Compares this process with an instance. Most are told by their command
    /// line, so that one file of /proc is read; its stat costs as much again.
    pub fn classify(&self, instance: &Instance) -> io::Result<Identity> {
        for _ in 0..LOOKS {
            if let Some(identity) = self.classify_once(instance)? {
                return Ok(identity);
            }
        }
        // It shows another line each time, as none but one that wants to does.
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// One look; none when it has executed something in the middle of it.
    fn classify_once(&self, instance: &Instance) -> io::Result<Option<Identity>> {
        let Some(line) = command_line(self.pid)? else {
            return self.not_seen().map(Some);
        };
        let runs = line.runs(instance.server, instance.config, self.pid)?;
        if runs == Runs::Config {
            return Ok(Some(Identity::Server));
        }
        let is_starter = line.name() == Some(OsStr::new(STARTER));
        let Some(stat) = stat(self.pid)? else {
            return self.not_seen().map(Some);
        };
        // Exit lets go of the memory that holds the line before it is a zombie.
        if stat.has_ended() || (line.0.is_empty() && stat.is_ending()) {
            return Ok(Some(Identity::Gone));
        }
        if line.0.is_empty() {
            return Ok(Some(match stat.flags & PF_KTHREAD {
                0 => Identity::Starting,
                _ => Identity::Mismatch,
            }));
        }
        if !is_starter {
            return self.look_at_tag(instance, runs, &stat).map(Some);
        }
        if stat.pre_exec {
            return Ok(Some(Identity::Starting));
        }
        let is_same = command_line(self.pid)? == Some(line);
        Ok(is_same.then_some(Identity::Mismatch))
    }

    /// The second proof, when the command line is none: the process leads its
    /// session, so it is no worker, and carries the tag of this very row.
    fn look_at_tag(&self, instance: &Instance, runs: Runs, stat: &Stat) -> io::Result<Identity> {
        // The first process of a namespace was started by none of these tools.
        let may_be_tagged = stat.session == self.pid.raw() && self.pid.raw() != 1;
        let is_relative = matches!(&runs, Runs::OtherConfig(config) if config.is_relative());
        if !may_be_tagged && !is_relative {
            return Ok(runs.into());
        }
        let Some(environment) = Environment::read(self.pid)? else {
            return self.not_seen();
        };
        if may_be_tagged {
            match environment.runs(instance)? {
                Runs::Nothing => {}
                Runs::Config => return Ok(Identity::Tagged),
                runs => return Ok(runs.into()),
            }
        }
        // Swift's servers go to `/`, so a relative config leads from where they
        // began, which the shell that began them left in their environment.
        if let (Runs::OtherConfig(config), Some(begin)) = (&runs, environment.value("PWD")) {
            let found = begin.join(config);
            if is_config(instance.server, instance.config, &found, &found)? {
                return Ok(Identity::Server);
            }
            if found.exists() {
                return Ok(Identity::OtherConfig(found));
            }
        }
        Ok(runs.into())
    }

    /// Its command line; `None` when it has ended.
    ///
    /// # Errors
    /// Also when it lives and /proc does not show it.
    pub fn command_line(&self) -> io::Result<Option<CommandLine>> {
        match command_line(self.pid)? {
            Some(line) => Ok(Some(line)),
            None if self.has_ended()? => Ok(None),
            None => Err(hidden()),
        }
    }

    /// /proc does not show it. Where that is mounted with hidepid, what is not
    /// there may live.
    fn not_seen(&self) -> io::Result<Identity> {
        if self.has_ended()? {
            Ok(Identity::Gone)
        } else {
            Err(hidden())
        }
    }

    /// When it started, in clock ticks since boot; none when it has ended. Had
    /// its number passed on before the look, the pidfd would say so.
    pub fn start(&self) -> io::Result<Option<u64>> {
        let stat = stat(self.pid)?;
        match (self.has_ended()?, stat) {
            (true, _) => Ok(None),
            (false, Some(stat)) => Ok(Some(stat.start)),
            (false, None) => Err(hidden()),
        }
    }

    /// Its children, each opened before its parent was read; `None` when it has
    /// ended: then what was found, or could not be looked at, is nothing of its.
    pub fn children(&self) -> io::Result<Option<Vec<Process>>> {
        let children = self.look_for_children();
        if self.has_ended()? {
            return Ok(None);
        }
        children.map(Some)
    }

    fn look_for_children(&self) -> io::Result<Vec<Process>> {
        let mut children = Vec::new();
        let numbers = child_numbers(self.pid)?;
        failpoint::at("children-listed");
        for pid in numbers {
            let Some(child) = Process::open(pid)? else {
                continue;
            };
            failpoint::at("child-opened");
            let parent = stat(pid)?.map(|stat| stat.parent);
            if parent == Some(self.pid.raw()) {
                children.push(child);
            }
        }
        Ok(children)
    }
}

/// The error where a process lives and /proc does not show it: that is mounted
/// with hidepid (proc(5)), or not at all.
fn hidden() -> io::Error {
    let kind = io::ErrorKind::PermissionDenied;
    io::Error::new(kind, "it lives, and /proc does not show it")
}

fn gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(e) => Err(e),
    }
}

impl From<Runs> for Identity {
    fn from(runs: Runs) -> Identity {
        match runs {
            Runs::Config => Identity::Server,
            Runs::OtherConfig(config) => Identity::OtherConfig(config),
            Runs::Nothing => Identity::Mismatch,
        }
    }
}

/// The relation of a process to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Ended, perhaps not waited for yet.
    Gone,
    /// Another process.
    Mismatch,
    /// The server's program with this config, which is not the row's.
    /// Had it ended before the look, that may be the process that has its pid now.
    OtherConfig(PathBuf),
    /// A process between clone and exec, or inside exec.
    Starting,
    /// The server, by its command line.
    Server,
    /// The server, by its tag alone.
    Tagged,
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_records::catalogue::Server;
    use swift_records::instance::PidPath;

    #[test]
    fn this_process_sees_itself() {
        let pid = Pid::own();
        let me = Process::open(pid).unwrap().unwrap();
        assert_eq!(me.may_signal().unwrap(), Some(true));
        assert!(!me.has_ended().unwrap());
        let instance = Instance {
            server: &Server::unlisted("nothing"),
            config: "/x".as_ref(),
            pid_path: &PidPath {
                run_dir: "/run/swift".into(),
                beneath: "nothing.pid".into(),
            },
        };
        assert_eq!(me.classify(&instance).unwrap(), Identity::Mismatch);
        assert!(stat(pid).unwrap().unwrap().start > 0);
        // The main thread blocks signals while it starts the other tests' threads.
        let now = disposition(pid, Signal::TERM).unwrap().unwrap();
        assert!(!now.caught && !now.ignored);
    }

    /// Fails when the environment that is empty inside exec counts as one without a tag.
    #[test]
    fn a_process_that_executes_again_and_again_keeps_its_tag() {
        use std::process::{Command, Stdio};
        let instance = Instance {
            server: &Server::unlisted("nothing"),
            config: "/x".as_ref(),
            pid_path: &PidPath {
                run_dir: "/run/swift".into(),
                beneath: "nothing.pid".into(),
            },
        };
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("again");
        std::fs::write(&script, "exec sh \"$0\"\n").unwrap();
        let mut child = Command::new("setsid")
            .arg("sh")
            .arg(&script)
            .envs(tag::of(&instance))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::new(child.id() as i32).unwrap();
        let process = Process::open(pid).unwrap().unwrap();
        while stat(pid).unwrap().unwrap().session != pid.raw() {
            std::thread::yield_now();
        }
        let seen: Vec<_> = (0..4_000)
            .filter_map(|_| process.classify(&instance).ok())
            .filter(|identity| *identity == Identity::Mismatch)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen.is_empty(), "{} looks", seen.len());
    }
}
