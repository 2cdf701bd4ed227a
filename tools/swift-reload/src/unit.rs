//! The service manager that runs this as ExecReload= of the target's own unit.
//!
//! systemd 253 and later wait for READY=1 from a main process that has said
//! RELOADING=1, also when it has ended while ExecReload= ran: until TimeoutStartSec=
//! is over, a service is neither up nor restarted. STOPPING=1 takes that back.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use swift_records::reason::Reason;
use swift_server::notify::Notice;
use swift_server::process::{Pid, Process};
use swift_server::sd_notify::{Message, SdNotify};

use crate::failure::Failure;
use crate::news::End;
use crate::options::Mode;
use crate::reload::SETTLING;
use crate::target::Target;

/// How long systemd may take to take in what it is told before this process ends.
const BARRIER: Duration = Duration::from_secs(5);

/// The unit whose reload this is.
#[derive(Debug)]
pub struct Unit {
    systemd: SdNotify,
    target: Process,
    /// The main process, where the target has named another one since the signal.
    main: Option<Process>,
    /// True when the target keeps the unit's status line itself.
    has_status: bool,
}

impl Unit {
    /// The unit that this process and the target belong to. NOTIFY_SOCKET alone
    /// proves nothing, since shells and daemons inherit it: systemd has to have run
    /// this for the target (MAINPID, which ExecReload= gets), and to take what
    /// this process says for that unit's, as it does by the cgroup.
    pub fn of(target: &Target) -> io::Result<Option<Unit>> {
        let systemd = SdNotify::from_env();
        let pid = target.pid();
        let main = std::env::var("MAINPID")
            .ok()
            .and_then(|pid| pid.parse().ok());
        if !systemd.is_set() || main != Some(pid.raw()) || !shares_cgroup(pid) {
            return Ok(None);
        }
        let pidfd = target.process.as_fd().try_clone_to_owned()?;
        Ok(Some(Unit {
            systemd,
            target: Process::adopt(pid, pidfd),
            main: None,
            has_status: false,
        }))
    }

    /// Asks for as much time as the reload may take.
    pub fn extend_timeout(&self, mode: &Mode) {
        let check = mode.check.then_some(mode.check_timeout);
        let wait = [check, Some(SETTLING), mode.wait].into_iter().flatten();
        let total = wait.fold(Duration::ZERO, Duration::saturating_add);
        self.send(&Message::new().extend_timeout(total));
    }

    /// Takes in what the target has said since the signal.
    pub fn follow(&mut self, notice: &Notice) -> io::Result<()> {
        if let Notice::Other(line) = notice {
            self.has_status |= line.starts_with(b"STATUS=");
            if let Some(pid) = line.strip_prefix(b"MAINPID=").and_then(Pid::parse) {
                self.main = match pid == self.target.pid {
                    true => None,
                    false => Process::open(pid)?,
                };
            }
        }
        Ok(())
    }

    /// Tells the end of the reload.
    pub fn ended(&self, who: &str, end: &End) -> io::Result<()> {
        match end {
            End::Failed(failure) => self.failed(who, failure)?,
            // What was said of a reload before this one is no longer so.
            _ if !self.has_status => self.send_last(&Message::new().status("")),
            _ => {}
        }
        Ok(())
    }

    fn failed(&self, who: &str, failure: &Failure) -> io::Result<()> {
        let status = failure.message(who);
        let serves_on = match &self.main {
            Some(main) => !main.has_ended()?,
            None => false,
        };
        if self.target.has_ended()? {
            if !serves_on {
                self.send_last(&Message::new().stopping().status(&status));
            }
        } else if !matches!(failure.reason, Reason::Refused | Reason::Vanished) {
            // One that refuses or stops has said so itself.
            self.send_last(&Message::new().status(&status));
        }
        Ok(())
    }

    /// The last words of this process: without the barrier those of one that
    /// ExecReload= runs from a shell may be dropped.
    fn send_last(&self, message: &Message) {
        self.send(message);
        let _ = self.systemd.barrier(BARRIER);
    }

    /// A message that systemd does not take in does not make the reload a worse one.
    fn send(&self, message: &Message) {
        let _ = self.systemd.send(message);
    }
}

/// True when a process is in this one's cgroup (cgroups(7)).
fn shares_cgroup(pid: Pid) -> bool {
    let of = |pid: &str| fs::read(format!("/proc/{pid}/cgroup")).ok();
    of("self").is_some_and(|own| of(&pid.to_string()) == Some(own))
}
