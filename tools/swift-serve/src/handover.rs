//! What one image of the manager leaves for the next: a note in memory that
//! names the descriptors which stay open across exec.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use swift_server::process::{Pid, Process};
use swift_sys::signal::Signal;
use swift_sys::{fd, handover};

use crate::address::Address;
use crate::file::{self, Settings};
use crate::generation::Generation;
use crate::sockets::Listener;
use crate::standby::Standby;
use crate::state::Manager;
use crate::worker::{Record, Worker};

fn descriptor(fd: &impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

/// Changed whenever an older image could not understand the note any more.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Note {
    version: u32,
    number: u64,
    again: bool,
    verdict: String,
    output: [RawFd; 2],
    status: Option<RawFd>,
    current: GenerationNote,
    leaving: Vec<Record>,
    standbys: Vec<StandbyNote>,
}

#[derive(Serialize, Deserialize)]
struct GenerationNote {
    number: u64,
    listeners: Vec<ListenerNote>,
    workers: Vec<Record>,
    settings: Settings,
}

#[derive(Serialize, Deserialize)]
struct ListenerNote {
    address: Address,
    fd: RawFd,
}

#[derive(Serialize, Deserialize)]
struct StandbyNote {
    pid: i32,
    pidfd: RawFd,
    control: Option<RawFd>,
    /// Older images closed the socket of one that was told.
    #[serde(default)]
    is_notified: bool,
    releases: Option<i32>,
}

/// Writes the note.
pub fn leave(manager: &Manager) -> anyhow::Result<OwnedFd> {
    let current = manager.current.as_ref().context("nothing serves")?;
    let note = Note {
        version: VERSION,
        number: manager.number,
        again: manager.again,
        verdict: manager.verdict.clone(),
        output: [
            descriptor(&manager.output[0]),
            descriptor(&manager.output[1]),
        ],
        status: manager.status.as_ref().map(descriptor),
        current: GenerationNote {
            number: current.number,
            listeners: current
                .listeners
                .iter()
                .map(|one| ListenerNote {
                    address: one.address.clone(),
                    fd: descriptor(&one.fd),
                })
                .collect(),
            workers: current.workers.iter().map(Worker::record).collect(),
            settings: current.settings.clone(),
        },
        leaving: manager.leaving.iter().map(Worker::record).collect(),
        standbys: manager
            .standbys
            .iter()
            .map(|one| StandbyNote {
                pid: one.process.pid.raw(),
                pidfd: descriptor(&one.process),
                control: one.control.as_ref().map(descriptor),
                is_notified: one.is_notified,
                releases: one.releases.map(Signal::number),
            })
            .collect(),
    };
    Ok(handover::note(toml::to_string(&note)?.as_bytes())?)
}

/// The value of the variable that names the note.
pub fn number(note: &OwnedFd, own: u32) -> String {
    format!("{}:{own}", descriptor(note))
}

/// Does something while all that is handed over would stay open across exec.
pub fn inheriting<T>(manager: &Manager, note: &OwnedFd, act: impl FnOnce() -> T) -> T {
    let mut all: Vec<BorrowedFd> = vec![note.as_fd()];
    all.extend(manager.output.iter().map(|fd| fd.as_fd()));
    all.extend(manager.status.iter().map(|fd| fd.as_fd()));
    if let Some(current) = &manager.current {
        all.extend(current.listeners.iter().map(|one| one.fd.as_fd()));
    }
    all.extend(manager.workers().map(|one| one.process.as_fd()));
    for standby in &manager.standbys {
        all.push(standby.process.as_fd());
        all.extend(standby.control.iter().map(|fd| fd.as_fd()));
    }
    let set = |inheritable: bool| {
        for fd in &all {
            // Both are open for as long as they are borrowed, so this cannot fail.
            let _ = fd::set_inheritable(fd, inheritable);
        }
    };
    set(true);
    let result = act();
    set(false);
    result
}

/// Takes over what the note names.
pub fn take(manager: &mut Manager, number: RawFd) -> anyhow::Result<()> {
    let text = handover::read_note(&fd::adopt(number)?)?;
    let note: Note = toml::from_str(&text)?;
    file::check_version(note.version, VERSION)?;
    manager.number = note.number;
    manager.again = note.again;
    manager.verdict = note.verdict;
    manager.output = [fd::adopt(note.output[0])?, fd::adopt(note.output[1])?];
    manager.status = note.status.map(fd::adopt).transpose()?;
    for standby in note.standbys {
        let pid = Pid::new(standby.pid).context("a standby without a pid")?;
        manager.standbys.push(Standby {
            process: Process::adopt(pid, fd::adopt(standby.pidfd)?),
            is_notified: standby.is_notified || standby.control.is_none(),
            control: standby.control.map(fd::adopt).transpose()?,
            releases: standby.releases.and_then(Signal::from_number),
        });
    }
    let current = note.current;
    let listeners = current.listeners.into_iter().map(|one| {
        Ok(Listener {
            address: one.address,
            fd: fd::adopt(one.fd)?,
        })
    });
    let listeners = listeners.collect::<io::Result<_>>()?;
    let mut generation = Generation::new(current.number, current.settings, listeners);
    for record in &current.workers {
        let worker = Worker::adopt(record, manager.next_id())?;
        generation.workers.push(worker);
    }
    for record in &note.leaving {
        let worker = Worker::adopt(record, manager.next_id())?;
        manager.leaving.push(worker);
    }
    generation.fill_gaps();
    manager.current = Some(generation);
    manager.watch_all()?;
    Ok(())
}
