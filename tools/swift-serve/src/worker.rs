//! One worker.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use swift_server::process::{Pid, Process};
use swift_sys::epoll::{Epoll, deadline_in};
use swift_sys::error::reason_of;
use swift_sys::pidfd::{self, Ended};
use swift_sys::signal::Signal;
use swift_sys::spawn::{Plan, spawn};
use swift_sys::{fd, socket};

use crate::environment;
use crate::event::{ENDED, READY, token};
use crate::file::{Ready, Settings};
use crate::sockets::Listener;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// It runs and is not ready.
    Starting,
    /// It serves.
    Ready,
    /// It was told to finish.
    Leaving,
}

/// Where it says that it is ready.
#[derive(Debug)]
enum Signpost {
    /// The socket that NOTIFY_SOCKET names.
    Mailbox(OwnedFd),
    /// The end of a pipe, for a newline.
    Pipe(OwnedFd),
}

/// A process that serves.
#[derive(Debug)]
pub struct Worker {
    /// Its number among all workers of this manager.
    pub id: u64,
    /// The process.
    pub process: Process,
    /// Whether it is a child of this process. Those of a dead manager are not.
    pub is_child: bool,
    /// The number of its generation.
    pub generation: u64,
    /// Which of its generation's workers it is.
    pub slot: usize,
    /// When it was started, in seconds since 1970.
    pub begun: u64,
    /// How far it is.
    pub state: WorkerState,
    /// Whether it has ever been ready.
    pub was_ready: bool,
    /// When it is killed.
    pub kill_at: Option<Instant>,
    signpost: Option<Signpost>,
}

/// The place where a worker says that it is ready, and the descriptor that it gets for that behind its
/// listening sockets. The variable that names it is added to the worker's environment.
fn signpost(
    ready: Ready,
    listeners: usize,
    with: &mut Vec<(&str, String)>,
) -> io::Result<(Option<Signpost>, Option<OwnedFd>)> {
    match ready {
        Ready::Exec => Ok((None, None)),
        Ready::Notify => {
            let (mailbox, name) = socket::mailbox()?;
            with.push(("NOTIFY_SOCKET", name));
            Ok((Some(Signpost::Mailbox(mailbox)), None))
        }
        Ready::Newline => {
            let (near, far) = fd::pipe()?;
            fd::set_nonblocking(&near)?;
            with.push(("READY_FD", (3 + listeners).to_string()));
            Ok((Some(Signpost::Pipe(near)), Some(far)))
        }
    }
}

/// A worker as it is handed over: descriptors by their numbers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pid: i32,
    pidfd: i32,
    generation: u64,
    slot: usize,
    begun: u64,
    state: WorkerState,
    was_ready: bool,
    kill_after: Option<u64>,
}

/// What a worker is started for.
pub struct Order<'a> {
    /// Its number among all workers.
    pub id: u64,
    /// Its generation's.
    pub generation: u64,
    /// Its place in the generation.
    pub slot: usize,
    /// What it belongs to, for the variable that says so.
    pub server: &'a str,
    /// Its standard input, output and error.
    pub stdio: [BorrowedFd<'a>; 3],
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |span| span.as_secs())
}

impl Worker {
    /// Starts one. The error says why that is not possible.
    pub fn start(
        order: &Order,
        settings: &Settings,
        listeners: &[Listener],
        epoll: &Epoll,
    ) -> Result<Worker, String> {
        let cannot = |e: &dyn std::fmt::Display| {
            let (program, why) = (settings.program.display(), reason_of(e));
            format!("cannot start {program}: {why}")
        };
        let mut extra: Vec<BorrowedFd> = listeners.iter().map(|one| one.fd.as_fd()).collect();
        let names: Vec<String> = (0..listeners.len()).map(|n| format!("listen{n}")).collect();
        let mut with = vec![
            ("LISTEN_FDS", listeners.len().to_string()),
            ("LISTEN_FDNAMES", names.join(":")),
            (environment::MANAGER, std::process::id().to_string()),
            (environment::GENERATION, order.generation.to_string()),
            (environment::SERVER, order.server.to_owned()),
        ];
        let (signpost, far_end) =
            signpost(settings.ready, listeners.len(), &mut with).map_err(|e| cannot(&e))?;
        extra.extend(far_end.iter().map(|end| end.as_fd()));
        let plan = Plan {
            environment: Some(environment::of_worker(&with)),
            pid_variable: Some("LISTEN_PID"),
            extra,
            user: settings.identity.as_ref(),
            ..Plan::new(settings.program.as_os_str(), &settings.command, order.stdio)
        };
        let child = spawn(&plan).map_err(|e| cannot(&e))?;
        let is_ready = signpost.is_none();
        let worker = Worker {
            id: order.id,
            process: Process::from_child(child),
            is_child: true,
            generation: order.generation,
            slot: order.slot,
            begun: now(),
            state: if is_ready {
                WorkerState::Ready
            } else {
                WorkerState::Starting
            },
            was_ready: is_ready,
            kill_at: None,
            signpost,
        };
        worker.watch(epoll).map_err(|e| cannot(&e))?;
        Ok(worker)
    }

    /// Its number as a process.
    pub fn pid(&self) -> Pid {
        self.process.pid
    }

    /// Has its end and its readiness reported.
    pub fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        epoll.add(&self.process, token(self.id, ENDED))?;
        match &self.signpost {
            Some(Signpost::Mailbox(fd) | Signpost::Pipe(fd)) => {
                epoll.add(fd, token(self.id, READY))
            }
            None => Ok(()),
        }
    }

    /// Takes in what it says of itself; `true` when it has just become ready.
    pub fn on_readable(&mut self, identity: Option<u32>) -> io::Result<bool> {
        let said = match &self.signpost {
            None => false,
            Some(Signpost::Mailbox(mailbox)) => {
                let mut said = false;
                while let Some((text, user)) = socket::receive(mailbox)? {
                    let trusted =
                        user == 0 || user == swift_sys::session::user() || Some(user) == identity;
                    said |= trusted && text.split(|b| *b == b'\n').any(|line| line == b"READY=1");
                }
                said
            }
            Some(Signpost::Pipe(pipe)) => {
                let mut buffer = [0; 256];
                match fd::read(pipe, &mut buffer) {
                    // It has closed its end, and cannot say anything any more.
                    Ok(0) => {
                        self.signpost = None;
                        false
                    }
                    Ok(n) => buffer[..n].contains(&b'\n'),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
                    Err(e) => return Err(e),
                }
            }
        };
        if said && self.state == WorkerState::Starting {
            (self.state, self.was_ready) = (WorkerState::Ready, true);
            return Ok(true);
        }
        Ok(false)
    }

    /// Tells it to finish what it has, and when it is killed if it does not.
    pub fn leave(&mut self, signal: Option<Signal>, timeout: Duration) {
        self.state = WorkerState::Leaving;
        self.kill_at = deadline_in(timeout);
        if let Some(signal) = signal {
            // A process that has ended or that may not be signalled is not ended by trying again.
            let _ = self.process.signal(signal);
        }
    }

    /// Takes how it has ended; none when it was another manager's child.
    pub fn take_end(&self) -> Option<Ended> {
        match self.is_child {
            true => pidfd::wait(&self.process).ok(),
            false => None,
        }
    }

    /// One that a dead manager has started.
    pub fn orphaned(process: Process, id: u64, generation: u64) -> Worker {
        Worker {
            id,
            process,
            is_child: false,
            generation,
            slot: 0,
            begun: now(),
            state: WorkerState::Leaving,
            was_ready: false,
            kill_at: None,
            signpost: None,
        }
    }

    /// As it is handed over.
    pub fn record(&self) -> Record {
        let left = |at: Instant| at.saturating_duration_since(Instant::now()).as_secs();
        Record {
            pid: self.pid().raw(),
            pidfd: self.process.as_fd().as_raw_fd(),
            generation: self.generation,
            slot: self.slot,
            begun: self.begun,
            state: self.state,
            was_ready: self.was_ready,
            kill_after: self.kill_at.map(left),
        }
    }

    /// As it was handed over.
    pub fn adopt(record: &Record, id: u64) -> io::Result<Worker> {
        let pid = Pid::new(record.pid).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Worker {
            id,
            process: Process::adopt(pid, fd::adopt(record.pidfd)?),
            is_child: true,
            generation: record.generation,
            slot: record.slot,
            begun: record.begun,
            state: record.state,
            was_ready: record.was_ready,
            kill_at: record
                .kill_after
                .map(Duration::from_secs)
                .and_then(deadline_in),
            signpost: None,
        })
    }
}

/// How a process has ended, in words.
pub fn ended(end: Option<Ended>) -> String {
    match end {
        Some(Ended::Exit(status)) => format!("exited with status {status}"),
        Some(Ended::Signal(number)) => match Signal::from_number(number.into()) {
            Some(signal) => format!("was ended by {signal}"),
            None => format!("was ended by signal {number}"),
        },
        None => "has ended".into(),
    }
}
