//! The workers of a manager that was killed, and their listening sockets: the next start takes them over,
//! and they serve on until the new workers are ready.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use swift_server::process::Process;
use swift_sys::error::reason_of;
use swift_sys::listening::{self, Local};
use swift_sys::pidfd;

use crate::address::Address;
use crate::file::Settings;
use crate::generation::Generation;
use crate::manager::Manager;
use crate::sockets::Listener;
use crate::worker::{Worker, WorkerState};
use crate::{environment, orphans};

/// The descriptors of a worker that are looked at: it got its sockets from 3 on.
const NUMBERS: std::ops::Range<i32> = 3..1024;

/// The address on which a socket listens, if it is of a kind that `listen` can name.
pub fn address(socket: &OwnedFd) -> Option<Address> {
    match listening::address(socket).ok()?? {
        Local::Inet(address) => Some(Address::Tcp(address)),
        Local::Path(path) => Some(Address::Unix(path)),
    }
}

/// Copies of the listening sockets of a process.
fn sockets_of(process: &Process) -> io::Result<Vec<Listener>> {
    let mut all: Vec<Listener> = Vec::new();
    for number in NUMBERS {
        let file = match fs::read_link(format!("/proc/{}/fd/{number}", process.pid)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        // A copy of another kind of file may do harm when it is closed.
        if !file.as_os_str().as_encoded_bytes().starts_with(b"socket:") {
            continue;
        }
        let Some(socket) = pidfd::get_fd(process, number)? else {
            continue;
        };
        if let Some(address) = address(&socket)
            && all.iter().all(|one| one.address != address)
        {
            all.push(Listener::new(address, socket.into()));
        }
    }
    Ok(all)
}

/// The generation of what is taken over, which is made for the first of it.
fn orphaned<'a>(all: &'a mut Option<Generation>, settings: &Settings) -> &'a mut Generation {
    all.get_or_insert_with(|| Generation::new(0, settings.clone(), Vec::new()))
}

impl Manager {
    /// Takes the sockets that systemd has passed to this process and that listen on an address of `listen`,
    /// whether it kept them for the unit or a socket unit has them. Others are closed.
    pub fn adopt_passed(&mut self, settings: &Settings) {
        for (socket, name) in environment::passed() {
            let address = address(&socket).filter(|one| settings.listen.contains(one));
            let listener = address.map(|address| Listener::new(address, socket.into()));
            let wanted = listener.filter(|one| one.is_as_wanted(settings.sockets));
            let Some(mut listener) = wanted else {
                let what = "which is no socket that listens as one of its addresses does";
                self.log
                    .warn(&format!("closing descriptor {name} of systemd, {what}"));
                self.notifier.forget(&name);
                continue;
            };
            listener.is_units = name != listener.stored_name();
            orphaned(&mut self.orphaned, settings)
                .listeners
                .push(listener);
        }
    }

    /// Takes over the workers of this server that have no manager any more, and their sockets. A worker
    /// whose sockets cannot be taken is told to finish at once, so that its addresses can be bound.
    pub fn adopt_orphans(&mut self, settings: &Settings) {
        let identity = settings.identity.as_ref().map(|user| user.uid);
        let found = match orphans::find(&self.invocation, identity) {
            Ok(found) => found,
            Err(e) => {
                let why = reason_of(&e);
                let what = "cannot look for workers of a dead manager";
                return self.log.warn(&format!("{what}: {why}"));
            }
        };
        for (process, number) in found {
            let orphaned = orphaned(&mut self.orphaned, settings);
            if orphaned.workers.iter().any(|one| one.pid() == process.pid) {
                continue;
            }
            let sockets = sockets_of(&process);
            let mut worker = Worker::adopted(process, number);
            worker.becomes_ready();
            if worker.watch(&self.epoll).is_err() {
                continue;
            }
            let pid = worker.pid();
            match sockets {
                // It has closed its sockets, and finishes already: many servers take a second signal for
                // the order to end at once.
                Ok(sockets) if sockets.is_empty() => worker.state = WorkerState::Leaving,
                Ok(sockets) => {
                    self.log
                        .info(&format!("taking over worker {pid} of a dead manager"));
                    for socket in sockets {
                        if orphaned
                            .listeners
                            .iter()
                            .all(|one| one.address != socket.address)
                        {
                            orphaned.listeners.push(socket);
                        }
                    }
                }
                Err(e) => {
                    worker.leave(Some(settings.graceful), settings.reload_timeout());
                    let why = reason_of(&e);
                    self.log.warn(&format!(
                        "cannot take the sockets of worker {pid} of a dead manager, which is told to finish: {why}"
                    ));
                }
            }
            self.state.number = self.state.number.max(number);
            orphaned.number = orphaned.number.max(number);
            orphaned.workers.push(worker);
        }
    }

    /// True when workers that were taken over are in the way of an address: they have its port on another one.
    pub fn has_orphans_at(&self, address: &Address) -> bool {
        let listeners = self.orphaned.iter().flat_map(|one| &one.listeners);
        listeners
            .filter(|one| one.address != *address)
            .any(|one| one.address.overlaps(address, false))
    }

    /// Tells the workers that were taken over to finish, before there are others: they may have an address
    /// that is in use. Returns their number.
    pub fn give_up_orphans(&mut self) -> usize {
        let Some(orphaned) = &mut self.orphaned else {
            return 0;
        };
        let settings = &orphaned.settings;
        let serving = |one: &&mut Worker| one.state == WorkerState::Ready;
        let mut count = 0;
        for worker in orphaned.workers.iter_mut().filter(serving) {
            worker.leave(Some(settings.graceful), settings.reload_timeout());
            count += 1;
        }
        count
    }
}
