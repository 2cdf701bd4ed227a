//! The status of a running server, and its socket.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{anyhow, bail};
use swift_cli::Exit;
use swift_server::process::Pid;
use swift_sys::epoll::deadline_in;
use swift_sys::error::reason_of;
use swift_sys::socket::{self, Sender};
use swift_sys::{fd, netns};

use crate::event::STATUS;
use crate::manager::Manager;
use crate::worker::now;

/// How many clients are answered in a row: any process in this network namespace can connect.
const CLIENTS_BUDGET: usize = 16;
/// The time in which a running server answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The word for a manager in a status.
pub const MANAGER: &str = "manager";
/// The word for a standby.
pub const STANDBY: &str = "standby";

/// The abstract name of a process's socket.
fn name(pid: u32) -> Vec<u8> {
    format!("swift-serve\0{pid}").into_bytes()
}

/// A connection to the socket that has the name of a process in this network namespace, and the process that
/// listens there: any process may take a name that is free.
pub fn connect(pid: Pid) -> io::Result<(OwnedFd, Sender)> {
    socket::connect_abstract(&name(pid.raw() as u32))
}

/// True when a process of this network namespace listens as a manager or as its standby.
pub fn is_manager(pid: Pid) -> bool {
    connect(pid).is_ok_and(|(_, listener)| listener.pid == pid.raw())
}

impl Manager {
    /// Listens under the name by which clients ask this process for its status.
    pub fn open_status(&mut self) {
        self.state.status = match socket::listen_abstract(&name(std::process::id())) {
            Ok(socket) => Some(socket.into()),
            Err(e) => {
                self.log.warn(&format!("will not tell its status: {e}"));
                None
            }
        };
    }

    /// Answers clients that wait, as the manager or as its standby.
    pub fn answer_status(&mut self, kind: &str) {
        let Some(status) = &self.state.status else {
            return;
        };
        for _ in 0..CLIENTS_BUDGET {
            match socket::accept(status) {
                // A client that does not read gets what fits.
                Ok(Some(client)) => drop(fd::write(&client, rows(self, kind).as_bytes())),
                Ok(None) => break,
                // As when no descriptor is free: it would be reported on and on.
                Err(_) => {
                    let _ = self.epoll.remove(status);
                    self.answers_at = deadline_in(Duration::from_secs(1));
                    return;
                }
            }
        }
        // It is there already unless an error has taken it out.
        let _ = self.epoll.add(status, STATUS);
    }
}

/// One row for each thing there is: generation, kind, pid, age in seconds,
/// state, detail.
fn rows(manager: &Manager, kind: &str) -> String {
    let mut out = String::new();
    let mut row = |generation: u64, kind: &str, pid: Option<i32>, age: Option<u64>, rest: &str| {
        let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
        let (pid, age) = (number(pid.map(|pid| pid as u64)), number(age));
        out.push_str(&format!("{generation}\t{kind}\t{pid}\t{age}\t{rest}\n"));
    };
    let age = |begun: u64| Some(now().saturating_sub(begun));
    let state = &manager.state;
    let serving = state.current.as_ref().map_or(0, |one| one.number);
    let verdict = manager.verdict();
    let verdict = match verdict.as_str() {
        "" => "-",
        verdict => verdict,
    };
    let verdict = verdict.replace(['\t', '\n', '\r'], " ");
    let own = std::process::id() as i32;
    let started = started_ago(own);
    row(
        serving,
        kind,
        Some(own),
        started,
        &format!("{}\t{verdict}", manager.phase.word()),
    );
    for standby in &state.standbys {
        let pid = standby.process.pid.raw();
        row(serving, STANDBY, Some(pid), started_ago(pid), "-\t-");
    }
    let pending = manager.phase.pending().map(|one| &one.generation);
    let orphaned = manager.orphaned.iter();
    for generation in state.current.iter().chain(orphaned).chain(pending) {
        for listener in &generation.listeners {
            let rest = format!("-\t{}", listener.address);
            row(generation.number, "listen", None, None, &rest);
        }
    }
    for worker in manager.workers() {
        let rest = format!("{}\t-", worker.state.word());
        let pid = Some(worker.pid().raw());
        row(worker.generation, "worker", pid, age(worker.begun), &rest);
    }
    out
}

/// The seconds since a process was started.
fn started_ago(pid: i32) -> Option<u64> {
    let stat = swift_server::process::stat(Pid::new(pid)?).ok()??;
    Some(stat.age().ok()?.as_secs())
}

/// Asks a running server, and shows what it says.
pub fn ask(pid: Pid) -> anyhow::Result<Exit> {
    let (server, listener) = netns::in_that_of(pid, || connect(pid))
        .map_err(|e| anyhow!("{pid} does not answer: {}", reason_of(&e)))?;
    if listener.pid != pid.raw() {
        bail!(
            "{pid} does not answer: its name belongs to {}",
            listener.pid
        );
    }
    let mut text = Vec::new();
    let mut server = UnixStream::from(server);
    server.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    server.read_to_end(&mut text).map_err(|e| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        match e.kind() {
            io::ErrorKind::WouldBlock => anyhow!("{pid} does not answer within {seconds} seconds"),
            _ => anyhow!("cannot ask {pid}: {}", reason_of(&e)),
        }
    })?;
    let mut out = io::stdout();
    out.write_all(&text)?;
    out.flush()?;
    Ok(Exit::Ok)
}
