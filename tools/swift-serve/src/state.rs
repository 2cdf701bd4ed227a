//! The state that is passed across exec, and the phase, which is not.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use swift_server::check::Checks;
use swift_sys::epoll::min_deadline;
use swift_sys::failpoint;
use swift_sys::fd;
use swift_sys::handover::{self, Descriptor};

use crate::generation::Generation;
use crate::standby::Standby;
use crate::worker::Worker;

/// Changed whenever an image of the one version cannot read the state of the other.
const VERSION: u32 = 3;

/// The version of the state that this image writes and understands.
fn version() -> u32 {
    failpoint::number("state-version", VERSION)
}

/// An error unless this image understands a state of that version.
pub fn check_version(version: u32) -> anyhow::Result<()> {
    let own = self::version();
    ensure!(
        version == own,
        "its state is of version {version}, and version {own} is understood"
    );
    Ok(())
}

/// State passed across exec in a memfd.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// Its version, which the next image has to understand.
    pub version: u32,
    /// The number of the last generation that was begun.
    pub number: u64,
    /// True when one more reload is to follow.
    pub reload_again: bool,
    /// The outcome of the last reload.
    pub verdict: String,
    /// The pipe into which the workers print, both ends: so that it never ends.
    pub output: [Descriptor; 2],
    /// The status socket.
    pub status: Option<Descriptor>,
    /// The generation that serves; none until the first one is ready.
    pub current: Option<Generation>,
    /// Workers that were told to leave.
    pub leaving: Vec<Worker>,
    /// The standbys, of which all but the last one have retired.
    pub standbys: Vec<Standby>,
}

impl State {
    /// The state of a server that begins to start.
    pub fn new() -> anyhow::Result<State> {
        let (read, write) = fd::pipe()?;
        fd::set_nonblocking(&read)?;
        Ok(State {
            version: version(),
            number: 0,
            reload_again: false,
            verdict: String::new(),
            output: [read.into(), write.into()],
            status: None,
            current: None,
            leaving: Vec::new(),
            standbys: Vec::new(),
        })
    }

    /// Writes the state into a memfd.
    pub fn write(&self) -> anyhow::Result<OwnedFd> {
        Ok(handover::memfd(toml::to_string(self)?.as_bytes())?)
    }

    /// Takes over the state that a memfd holds. The version comes first: the rest of another one's
    /// state may be of any form.
    pub fn read(memfd: RawFd) -> anyhow::Result<State> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let text = handover::read_memfd(&fd::adopt(memfd)?)?;
        let Version { version } = toml::from_str(&text)?;
        check_version(version)?;
        let mut state: State = toml::from_str(&text)?;
        state
            .current
            .as_mut()
            .context("nothing serves")?
            .fill_gaps();
        Ok(state)
    }

    /// Calls a function while all that is handed over would stay open across exec.
    pub fn inheriting<T>(&self, memfd: &OwnedFd, act: impl FnOnce(RawFd) -> T) -> T {
        let set = |inheritable: bool| {
            for fd in self.descriptors().iter().chain([&memfd.as_fd()]) {
                // Each is open for as long as it is borrowed, so this cannot fail.
                let _ = fd::set_inheritable(fd, inheritable);
            }
        };
        set(true);
        let result = act(memfd.as_raw_fd());
        set(false);
        result
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let listeners = self.current.iter().flat_map(|one| &one.listeners);
        let directory = self.current.iter().flat_map(|one| &one.directory);
        let own = self.output.iter().chain(&self.status).chain(directory);
        let standbys = self.standbys.iter();
        let controls = standbys.flat_map(|one| [&one.control, &one.retired]);
        let all = own.chain(listeners.map(|one| &one.fd)).chain(controls);
        let standbys = self.standbys.iter().map(|one| &one.process);
        let processes = self.workers().map(|one| &one.process).chain(standbys);
        let all = all.map(|fd| fd.as_fd());
        all.chain(processes.map(|one| one.as_fd())).collect()
    }

    /// The workers of the generation that serves, and those that were told to leave.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        let current = self.current.iter().flat_map(|one| &one.workers);
        current.chain(&self.leaving)
    }

    /// The same, to be changed.
    pub fn workers_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        let current = self.current.iter_mut().flat_map(|one| &mut one.workers);
        current.chain(&mut self.leaving)
    }

    /// The standby, if there is one that has not retired.
    pub fn standby(&mut self) -> Option<&mut Standby> {
        self.standbys.iter_mut().rfind(|one| !one.is_retired)
    }
}

/// A generation that is not ready yet.
#[derive(Debug)]
pub struct PendingGeneration {
    /// The generation.
    pub generation: Generation,
    /// When it has failed unless it is ready.
    pub deadline: Option<Instant>,
}

impl PendingGeneration {
    /// When it has failed, or when a worker of it is looked at next.
    pub fn next_deadline(&self) -> Option<Instant> {
        min_deadline(self.deadline, self.generation.next_look())
    }
}

/// The phase of a server's life, with the data that only it has.
pub enum Phase {
    /// The first generation starts; there is none until its sockets are bound.
    Starting(Option<PendingGeneration>),
    /// A generation serves, and no reload goes on.
    Serving,
    /// The config of a reload is checked.
    Checking(Checks),
    /// A standby holds the old generation, systemd knows of the reload, and the new generation
    /// starts; there is none until its sockets are bound.
    Preparing(Option<PendingGeneration>),
    /// All workers were told to end. The outcome is that of the server.
    Stopping(Result<(), String>),
}

impl Phase {
    /// The generation that is not ready yet.
    pub fn pending(&self) -> Option<&PendingGeneration> {
        match self {
            Phase::Starting(pending) | Phase::Preparing(pending) => pending.as_ref(),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn pending_mut(&mut self) -> Option<&mut PendingGeneration> {
        match self {
            Phase::Starting(pending) | Phase::Preparing(pending) => pending.as_mut(),
            _ => None,
        }
    }

    /// Goes on to the next phase, and returns the generation that was not ready yet.
    pub fn enter(&mut self, next: Phase) -> Option<Generation> {
        match std::mem::replace(self, next) {
            Phase::Starting(pending) | Phase::Preparing(pending) => Some(pending?.generation),
            _ => None,
        }
    }

    /// The word for it in a status.
    pub fn word(&self) -> &'static str {
        match self {
            Phase::Starting(_) => "starting",
            Phase::Serving => "serving",
            Phase::Checking(_) | Phase::Preparing(_) => "reloading",
            Phase::Stopping(_) => "stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd as _;

    use super::*;

    #[test]
    fn a_state_of_another_version_is_refused_by_its_version() {
        for text in ["version = 1\nnumber = \"of another kind\"", "version = 4"] {
            let memfd = handover::memfd(text.as_bytes()).unwrap().into_raw_fd();
            let why = State::read(memfd).err().map(|e| e.to_string());
            let version = &text[10..11];
            let wanted = format!("its state is of version {version}, and version 3 is understood");
            assert_eq!(why, Some(wanted));
        }
    }
}
