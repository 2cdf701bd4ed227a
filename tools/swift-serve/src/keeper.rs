//! The keeper: a second process that holds what the old generation needs while
//! the manager executes itself anew. It waits for the verdict, and when the
//! manager dies before there is one, it is the manager.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use shared::pidfile::{self, Content};
use shared::process::{Pid, Process};
use shared::rundir::RunDir;
use shared::signals::Signal;
use shared::sys::handover::{Forked, fork};
use shared::sys::pidfd::Ended;
use shared::sys::signals::Inbox;
use shared::sys::{fd, pidfd, socket};
use shared::watch::{Watch, after};

use crate::address::Address;
use crate::invocation::SIGNALS;
use crate::manager::Manager;
use crate::sockets::{self, Listener};
use crate::{connections, environment};

/// The new generation serves: drain these addresses, let the old one finish.
pub const RELEASE: u8 = b'r';
/// The old generation is kept by the manager itself.
pub const DISMISS: u8 = b'd';

const CONTROL: u64 = 1;
const MANAGER: u64 = 2;
const SIGNALLED: u64 = 3;

/// How long connections that have begun get to be completed and accepted.
const DRAIN: Duration = Duration::from_secs(1);
/// How often that is granted while some still wait.
const DRAINS: usize = 10;
/// The longest message.
const LONGEST: usize = 64 * 1024;

/// The keeper, as the manager sees it.
#[derive(Debug)]
pub struct Keeper {
    /// The process.
    pub process: Process,
    /// Where it is told the verdict; none once it was.
    pub control: Option<OwnedFd>,
    /// The signal with which it lets old workers finish, once it was told to.
    pub releases: Option<Signal>,
}

impl Keeper {
    /// Tells it something; `false` when it is gone.
    pub fn tell(&self, what: u8, text: &str) -> bool {
        let message = [&[what], text.as_bytes()].concat();
        let alive = !self.process.has_ended().unwrap_or(true);
        let written = |fd: &OwnedFd| fd::write(fd, &message).is_ok_and(|n| n == message.len());
        alive && self.control.as_ref().is_some_and(written)
    }

    /// Takes its exit status if it has ended; none when it has not. It holds
    /// the signal that old workers did not get when it could not do its work.
    pub fn take_end(&self) -> Option<Option<Signal>> {
        if !self.process.has_ended().unwrap_or(false) {
            return None;
        }
        let end = pidfd::wait(&self.process).ok();
        Some(self.releases.filter(|_| end != Some(Ended::Exit(0))))
    }
}

/// What has become of this process.
pub enum Began {
    /// It is the manager, and this is its keeper.
    Here(Keeper),
    /// It was the keeper, and is the manager now.
    TookOver,
}

/// Forks the keeper.
pub fn begin(manager: &mut Manager) -> io::Result<Began> {
    let (near, far) = socket::pair()?;
    let own = Pid::new(std::process::id() as i32).ok_or(io::ErrorKind::InvalidData)?;
    let me = Process::open(own)?.ok_or(io::ErrorKind::NotFound)?;
    match fork()? {
        Forked::Parent(pid) => {
            drop(far);
            let process = Process::open(pid)?.ok_or(io::ErrorKind::NotFound)?;
            Ok(Began::Here(Keeper {
                process,
                control: Some(near),
                releases: None,
            }))
        }
        Forked::Child => {
            drop(near);
            for keeper in &mut manager.keepers {
                keeper.control = None;
            }
            match keep(manager, &far, &me) {
                Ok(()) => manager.take_over(own),
                Err(e) => {
                    manager.log.error(&format!("the keeper fails: {e}"));
                    std::process::exit(1);
                }
            }
            Ok(Began::TookOver)
        }
    }
}

/// Waits for the verdict. It returns when the manager died without one.
fn keep(manager: &mut Manager, control: &OwnedFd, parent: &Process) -> io::Result<()> {
    // The kernel has pending signals and readiness apart for each process.
    manager.inbox = Inbox::taking(SIGNALS)?;
    manager.status = None;
    let watch = Watch::new()?;
    watch.add(control, CONTROL)?;
    watch.add(parent, MANAGER)?;
    watch.add(&manager.inbox, SIGNALLED)?;
    let mut listening = true;
    loop {
        let tokens = watch.wait(None)?;
        // The verdict comes first: the manager may have died right after it.
        if listening && fd::is_readable(control)? {
            let mut message = vec![0; LONGEST];
            // A manager that died with something unread resets the connection.
            let length = fd::read(control, &mut message).unwrap_or(0);
            match message[..length].split_first() {
                Some((&RELEASE, gone)) => {
                    manager.finish_old(&String::from_utf8_lossy(gone));
                    await_end(control)?;
                    std::process::exit(0);
                }
                Some(_) => std::process::exit(0),
                None => {
                    listening = false;
                    watch.remove(control)?;
                }
            }
        }
        if parent.has_ended()? {
            return Ok(());
        }
        if tokens.contains(&SIGNALLED) {
            while let Some(signal) = manager.inbox.take()? {
                if matches!(signal, Signal::TERM | Signal::INT) {
                    std::process::exit(0);
                }
            }
        }
    }
}

/// Waits until the manager has told everybody who it is.
fn await_end(control: &OwnedFd) -> io::Result<()> {
    let watch = Watch::new()?;
    watch.add(control, CONTROL)?;
    while fd::read(control, &mut [0; 16]).unwrap_or(0) > 0 {
        watch.wait(None)?;
    }
    Ok(())
}

/// Lets nobody new in and waits until those who are in the queues were taken,
/// while the old workers go on. Nothing tells that a handshake somewhere in the
/// network has come to its end, so that is given time.
pub fn drain(gone: &[Listener]) {
    for listener in gone {
        if let Address::Tcp(_) = listener.address {
            let _ = socket::refuse_newcomers(&listener.fd);
        }
    }
    sockets::discard(gone, &[]);
    for _ in 0..DRAINS {
        let _ = Watch::new().and_then(|watch| watch.wait(after(DRAIN)));
        if connections::count(gone).waiting == 0 {
            break;
        }
    }
}

/// Writes this process's number into the pid file, if that still names the
/// manager that is dead. Where no pid file was told, there is nothing to do.
pub fn write_pid_file(dead: Pid) -> anyhow::Result<()> {
    let Some(path) = std::env::var_os(environment::PID_FILE).map(PathBuf::from) else {
        return Ok(());
    };
    let folder = std::env::var_os(environment::RUN_DIR).map(PathBuf::from);
    let folder = folder
        .or_else(|| path.parent().map(Path::to_owned))
        .unwrap_or_default();
    let beneath = path
        .strip_prefix(&folder)
        .map_err(|_| anyhow!("{} is not beneath {}", path.display(), folder.display()))?;
    let run_dir =
        RunDir::open(&folder)?.ok_or_else(|| anyhow!("{}: not there", folder.display()))?;
    let _guard = run_dir.lock()?;
    match pidfile::read(&run_dir, beneath).content {
        Content::Number(pid) if pid == dead => {}
        _ => return Err(anyhow!("{} does not name {dead}", path.display())),
    }
    let own = Pid::new(std::process::id() as i32).ok_or_else(|| anyhow!("no number"))?;
    pidfile::replace(&run_dir, beneath, own)
        .with_context(|| format!("cannot write {}", path.display()))
}
