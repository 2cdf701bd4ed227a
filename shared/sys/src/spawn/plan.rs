//! Processes that are to be started: how, and what came of it.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::pid::Pid;
use crate::signal::Signal;

/// A process that is to be started.
pub struct Plan<'a> {
    /// The file to execute; PATH is not searched.
    pub program: &'a OsStr,
    /// Its arguments, its own name first.
    pub args: Vec<&'a OsStr>,
    /// Its environment, as NAME=VALUE; none for that of this process.
    pub environment: Option<Vec<Vec<u8>>>,
    /// A variable whose value is to be its own pid, such as LISTEN_PID
    /// (sd_listen_fds(3)). It is only set beside an environment that is given.
    pub pid_variable: Option<&'a str>,
    /// Standard input, output and error.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Further descriptors that it gets, numbered from 3. It gets no others.
    pub extra: Vec<BorrowedFd<'a>>,
    /// The directory it starts in, when not this process's own.
    pub directory: Option<BorrowedFd<'a>>,
    /// The user it runs as, when not this process's own; this process has to be root.
    pub user: Option<&'a User>,
    /// True when it leads a session of its own.
    pub own_session: bool,
    /// Its signal dispositions.
    pub signals: Dispositions<'a>,
    /// The signal it gets when this process dies.
    pub parent_death: Option<Signal>,
    /// The pid file that it writes for itself before it executes.
    pub pid_file: Option<PidFile<'a>>,
}

impl<'a> Plan<'a> {
    /// A process with this process's environment, directory and user, and with
    /// default signal dispositions.
    pub fn new(
        program: &'a OsStr,
        args: impl IntoIterator<Item = &'a (impl AsRef<OsStr> + ?Sized + 'a)>,
        stdio: [BorrowedFd<'a>; 3],
    ) -> Plan<'a> {
        Plan {
            program,
            args: args.into_iter().map(AsRef::as_ref).collect(),
            environment: None,
            pid_variable: None,
            stdio,
            extra: Vec::new(),
            directory: None,
            user: None,
            own_session: false,
            signals: Dispositions::Default,
            parent_death: None,
            pid_file: None,
        }
    }
}

/// The signal dispositions of a new process. Its mask is empty either way.
#[derive(Clone, Copy)]
pub enum Dispositions<'a> {
    /// The default action for all.
    Default,
    /// Those of this process, and these signals ignored.
    Inherited {
        /// The signals to ignore.
        ignore: &'a [Signal],
    },
}

/// A pid file that is written under one name and renamed to another, both of
/// the same directory.
pub struct PidFile<'a> {
    /// The directory.
    pub dir: BorrowedFd<'a>,
    /// The name while it is written. A file of that name is removed first.
    pub temporary: &'a CStr,
    /// The name in the end.
    pub name: &'a CStr,
}

/// A user with its groups.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
}

/// A started process.
pub struct Child {
    /// Its pid.
    pub pid: Pid,
    /// The descriptor that stands for it.
    pub pidfd: OwnedFd,
}

/// The reason why a process was not started. Nothing is left of it then but, after
/// [`Failure::Exec`] or [`Failure::Fork`], its pid file.
#[derive(Debug)]
pub enum Failure {
    /// There can be no further process, or its descriptors and session could
    /// not be made as planned.
    Fork(io::Error),
    /// Its pid file could not be written.
    PidFile(io::Error),
    /// The program could not be executed.
    Exec(io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Fork(e) | Failure::PidFile(e) | Failure::Exec(e) => e.fmt(f),
        }
    }
}
