//! One worker.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use swift_server::notify::READ_BUDGET;
use swift_server::process::{Pid, Process};
use swift_sys::epoll::{Epoll, deadline_in};
use swift_sys::error::reason_of;
use swift_sys::pidfd::{self, Ended};
use swift_sys::signal::Signal;
use swift_sys::spawn::{Plan, spawn};
use swift_sys::{fd, socket};

use crate::event::{ENDED, READY, token};
use crate::file::{Ready, Settings};
use crate::readiness::Proof;
use crate::sockets::Listener;
use crate::{environment, handover};

/// The state of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// Running, not ready.
    Starting,
    /// Reported ready, which has to hold for a while.
    Settling,
    /// Serving.
    Ready,
    /// Signalled to finish.
    Leaving,
}

impl WorkerState {
    /// The word for it in a status.
    pub fn word(self) -> &'static str {
        match self {
            WorkerState::Starting => "starting",
            WorkerState::Settling => "settling",
            WorkerState::Ready => "ready",
            WorkerState::Leaving => "leaving",
        }
    }
}

/// The channel by which a worker says that it is ready.
#[derive(Debug)]
enum Readiness {
    /// The socket that NOTIFY_SOCKET names, and the user of the worker.
    Notify(OwnedFd, Option<u32>),
    /// The end of a pipe, for a newline.
    Newline(OwnedFd),
}

/// A process that serves.
#[derive(Debug, Serialize, Deserialize)]
pub struct Worker {
    /// The process.
    #[serde(with = "handover::process")]
    pub process: Process,
    /// The number of its generation.
    pub generation: u64,
    /// Its place in the generation.
    pub slot: usize,
    /// When it was started, in seconds since 1970.
    pub begun: u64,
    /// The state.
    pub state: WorkerState,
    /// True once it has reported readiness or was seen to accept: it may have connections to finish.
    pub was_ready: bool,
    /// When it is killed.
    #[serde(default, with = "handover::deadline")]
    pub kill_at: Option<Instant>,
    /// Its readiness, while it is awaited.
    #[serde(skip)]
    pub proof: Proof,
    #[serde(skip)]
    readiness: Option<Readiness>,
}

/// The channel for readiness, and the descriptor that the worker gets for it behind its listening
/// sockets. The variable that names it is added to the worker's environment.
fn readiness(
    settings: &Settings,
    listeners: usize,
    with: &mut Vec<(&str, String)>,
) -> io::Result<(Option<Readiness>, Option<OwnedFd>)> {
    match settings.ready {
        Ready::Exec | Ready::Accept => Ok((None, None)),
        Ready::Notify => {
            let (mailbox, name) = socket::mailbox()?;
            with.push(("NOTIFY_SOCKET", name));
            let user = settings.identity.as_ref().map(|one| one.uid);
            Ok((Some(Readiness::Notify(mailbox, user)), None))
        }
        Ready::Newline => {
            let (near, far) = fd::pipe()?;
            fd::set_nonblocking(&near)?;
            with.push(("READY_FD", (3 + listeners).to_string()));
            Ok((Some(Readiness::Newline(near)), Some(far)))
        }
    }
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |span| span.as_secs())
}

impl Worker {
    /// Starts a worker for a place of a generation.
    pub fn start(
        generation: u64,
        slot: usize,
        settings: &Settings,
        listeners: &[Listener],
        server: &str,
        stdio: [BorrowedFd; 3],
        directory: Option<BorrowedFd>,
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
            (environment::GENERATION, generation.to_string()),
            (environment::SERVER, server.to_owned()),
        ];
        let (readiness, far_end) =
            readiness(settings, listeners.len(), &mut with).map_err(|e| cannot(&e))?;
        extra.extend(far_end.iter().map(|end| end.as_fd()));
        let plan = Plan {
            environment: Some(environment::of_worker(&with)),
            pid_variable: Some(environment::WORKER),
            extra,
            user: settings.identity.as_ref(),
            directory,
            ..Plan::new(settings.program.as_os_str(), &settings.command, stdio)
        };
        let child = spawn(&plan).map_err(|e| cannot(&e))?;
        let process = Process::from_child(child);
        let mut worker = Worker {
            slot,
            readiness,
            ..Worker::adopted(process, generation)
        };
        if settings.ready == Ready::Exec {
            worker.report_ready();
        }
        Ok(worker)
    }

    /// A worker of which only the process is known.
    pub fn adopted(process: Process, generation: u64) -> Worker {
        Worker {
            process,
            generation,
            slot: 0,
            begun: now(),
            state: WorkerState::Starting,
            was_ready: false,
            kill_at: None,
            proof: Proof::default(),
            readiness: None,
        }
    }

    /// The pid.
    pub fn pid(&self) -> Pid {
        self.process.pid
    }

    /// Has its end and its readiness reported.
    pub fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        epoll.add(&self.process, token(self.pid(), ENDED))?;
        match &self.readiness {
            Some(Readiness::Notify(fd, _) | Readiness::Newline(fd)) => {
                epoll.add(fd, token(self.pid(), READY))
            }
            None => Ok(()),
        }
    }

    /// True when it may become ready.
    pub fn is_unready(&self) -> bool {
        matches!(self.state, WorkerState::Starting | WorkerState::Settling)
    }

    /// Counts from here on as one that serves.
    pub fn becomes_ready(&mut self) {
        (self.state, self.was_ready) = (WorkerState::Ready, true);
    }

    fn report_ready(&mut self) {
        (self.state, self.was_ready) = (WorkerState::Settling, true);
        self.proof.report();
    }

    /// Reads from the channel for readiness.
    pub fn on_readable(&mut self) -> io::Result<()> {
        let is_ready = match &self.readiness {
            None => false,
            Some(Readiness::Notify(mailbox, identity)) => {
                let mut is_ready = false;
                for _ in 0..READ_BUDGET {
                    let Some((text, user)) = socket::receive(mailbox)? else {
                        break;
                    };
                    let is_trusted =
                        user == 0 || user == swift_server::user::own() || Some(user) == *identity;
                    is_ready |=
                        is_trusted && text.split(|b| *b == b'\n').any(|line| line == b"READY=1");
                }
                is_ready
            }
            Some(Readiness::Newline(pipe)) => {
                let mut buffer = [0; 256];
                match fd::read(pipe, &mut buffer) {
                    // It has closed its end, and cannot say anything any more.
                    Ok(0) => {
                        self.readiness = None;
                        false
                    }
                    Ok(n) => buffer[..n].contains(&b'\n'),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
                    Err(e) => return Err(e),
                }
            }
        };
        if is_ready && self.state == WorkerState::Starting {
            self.report_ready();
        }
        Ok(())
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

    /// Takes its exit status, and words its end.
    pub fn take_end(&self) -> String {
        let end = match pidfd::wait(&self.process) {
            Ok(Ended::Exit(status)) => format!("exited with status {status}"),
            Ok(Ended::Signal(number)) => match Signal::from_number(number.into()) {
                Some(signal) => format!("was ended by {signal}"),
                None => format!("was ended by signal {number}"),
            },
            // A child of another manager has no status for this process.
            Err(_) => "has ended".into(),
        };
        format!("worker {} {end}", self.pid())
    }
}
