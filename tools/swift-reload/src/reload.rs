//! One reload, from its beginning to its end.
//!
//! The socket on which the server speaks is bound first: it is the lock
//! between two who would reload the same process, and nothing that is said
//! while the config is checked gets lost.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use shared::check::Verdict;
use shared::faults;
use shared::notify::{self, Notice, Notices};
use shared::pidfile::reason_of;
use shared::process::{Pid, Process, command_line};
use shared::reason::Reason;
use shared::state::State;
use shared::watch::after;

use crate::options::Manner;
use crate::target::{Now, Refusal, Target};

/// How long a server that has just been started may take until it can take
/// the signal.
const SETTLING: Duration = Duration::from_secs(60);

/// Why a reload has failed, in the words of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The row's state.
    pub state: State,
    /// The first word of its detail.
    pub reason: Reason,
    /// What follows it.
    pub text: Vec<u8>,
}

impl Failure {
    /// It is not known to have been reloaded, for that reason.
    pub fn new(reason: Reason, text: impl Into<Vec<u8>>) -> Failure {
        Failure {
            state: State::Unreloaded,
            reason,
            text: text.into(),
        }
    }

    /// It may not be signalled.
    fn denied() -> Failure {
        Failure {
            state: State::Denied,
            ..Failure::new(Reason::Permission, "")
        }
    }

    /// Something that has to be known cannot be found out.
    fn unknown(error: &io::Error) -> Failure {
        Failure::new(Reason::Untested, reason_of(error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::denied(),
            _ => Failure::unknown(&error),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let unsupported = |text: String| Failure::new(Reason::Unsupported, text);
        match refusal {
            Refusal::Gone | Refusal::Stranger(_) => Failure::new(Reason::Vanished, ""),
            Refusal::Starting => unsupported("it executes something at this moment".into()),
            Refusal::Unable(program) => unsupported(format!("{program} knows no seamless reload")),
            Refusal::Worker(_, manager) => unsupported(format!("it is a worker of {manager}")),
            Refusal::Unknown(error) => Failure::unknown(&error),
        }
    }
}

/// How a reload has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The new generation is ready.
    Reloaded,
    /// The signal was sent, and the end is not awaited.
    Sent,
    /// It was not done, or is not known to be.
    Failed(Failure),
}

/// What happens on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Its config is being checked.
    Checking,
    /// It is too old to check its config, so the reload goes on without.
    TooOld,
    /// It cannot take the signal yet, and is waited for.
    Settling,
    /// The signal is about to be sent.
    Sending,
    /// The signal was sent.
    Signalled,
    /// It said something after the signal.
    Heard(Notice),
    /// That was all.
    Ended(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Checking,
    Settling,
    Signalled,
}

/// Either an end, or none yet.
pub type Progress = Result<Option<End>, Failure>;

/// A reload that goes on.
#[derive(Debug)]
pub struct Reload {
    /// What is reloaded.
    pub target: Target,
    notices: Notices,
    manner: Manner,
    phase: Phase,
    /// It has said RELOADING=1 and not READY=1 since.
    reloading: bool,
    until: Option<Instant>,
}

impl Reload {
    /// Takes the lock of a process.
    pub fn begin(target: Target, manner: Manner) -> Result<Reload, Failure> {
        match target.process.may_signal()? {
            Some(true) => {}
            Some(false) => return Err(Failure::denied()),
            None => return Err(Failure::new(Reason::Vanished, "")),
        }
        let pid = target.pid();
        let notices = Notices::bind(pid).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Failure::new(Reason::Busy, holder(pid)),
            _ => Failure::unknown(&error),
        })?;
        faults::at("bound");
        Ok(Reload {
            target,
            notices,
            manner,
            phase: Phase::Checking,
            reloading: false,
            until: None,
        })
    }

    /// The process, whose descriptor tells its end.
    pub fn process(&self) -> &Process {
        &self.target.process
    }

    /// When [`Reload::late`] is to be called.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether the signal was sent.
    pub fn is_signalled(&self) -> bool {
        self.phase == Phase::Signalled
    }

    /// Goes on after the check, or without one.
    pub fn checked(&mut self, verdict: Verdict, told: &mut Vec<News>) -> Progress {
        faults::at("checked");
        match verdict {
            Verdict::Good => {}
            Verdict::TooOld => told.push(News::TooOld),
            // Then nothing was tested, whatever the config is like.
            Verdict::Bad(Reason::ExecFailed, text) => {
                return Err(Failure::new(Reason::Untested, text));
            }
            Verdict::Bad(reason, text) => {
                return Err(Failure {
                    state: State::Misconfigured,
                    ..Failure::new(reason, text)
                });
            }
        }
        self.signal(told)
    }

    /// Signals it if it is still the same, and can take the signal.
    fn signal(&mut self, told: &mut Vec<News>) -> Progress {
        let vanished = |text: &str| Failure::new(Reason::Vanished, text);
        let can_take = match self.target.again()? {
            Now::Gone => return Err(vanished("")),
            Now::Other => return Err(vanished("it has executed something else")),
            Now::Executing => false,
            Now::Same => match self.target.disposition()? {
                None => return Err(vanished("")),
                Some(disposition) => !disposition.is_default(),
            },
        };
        // Somebody else's reload has to come to its end first: until then the
        // handlers of the old generation are there and do nothing any more.
        if !can_take || self.reloading {
            return self.settle(told);
        }
        told.push(News::Sending);
        faults::at("proven");
        if !self.target.process.signal(self.target.signal)? {
            return Err(vanished(""));
        }
        faults::at("signalled");
        self.phase = Phase::Signalled;
        told.push(News::Signalled);
        match self.manner.wait.filter(|_| self.target.server.notify) {
            None => Ok(Some(End::Sent)),
            Some(wait) => {
                self.until = after(wait);
                Ok(None)
            }
        }
    }

    /// Waits until it is ready, which a server says that can take the signal.
    fn settle(&mut self, told: &mut Vec<News>) -> Progress {
        if !self.target.server.notify {
            return Err(self.deadly());
        }
        if self.phase != Phase::Settling {
            self.phase = Phase::Settling;
            self.until = after(self.manner.wait.unwrap_or(SETTLING).min(SETTLING));
            told.push(News::Settling);
        }
        Ok(None)
    }

    fn deadly(&self) -> Failure {
        let text = format!("{} would kill it", self.target.signal);
        Failure::new(Reason::Unsupported, text)
    }

    /// Takes in what the process has said.
    pub fn hear(&mut self, told: &mut Vec<News>) -> Progress {
        let mut ready = false;
        for _ in 0..notify::TURN {
            let Some(lines) = self.notices.receive()? else {
                break;
            };
            // What failed is told together with the readiness of what was kept.
            let refused = lines.iter().find_map(Notice::refused).map(<[u8]>::to_vec);
            for notice in lines {
                if self.phase == Phase::Signalled {
                    told.push(News::Heard(notice.clone()));
                }
                match notice {
                    Notice::Reloading => self.reloading = true,
                    Notice::Ready => {
                        // After the signal, only the end of a reload counts.
                        ready |= self.phase != Phase::Signalled || self.reloading;
                        self.reloading = false;
                    }
                    Notice::Stopping => {
                        return Err(Failure::new(Reason::Vanished, "it is stopping"));
                    }
                    Notice::Other(_) => {}
                }
                if ready && self.phase == Phase::Signalled {
                    faults::at("answered");
                    // Whoever has its number when it has ended could say all this.
                    if self.process().has_ended()? {
                        return Err(self.ended());
                    }
                    return match &refused {
                        Some(why) => Err(Failure::new(Reason::Refused, why.clone())),
                        None => Ok(Some(End::Reloaded)),
                    };
                }
            }
        }
        if ready && self.phase == Phase::Settling {
            return self.signal(told);
        }
        Ok(None)
    }

    /// The process has ended.
    pub fn ended(&self) -> Failure {
        Failure::new(Reason::Vanished, "")
    }

    /// The time has come.
    pub fn late(&mut self, told: &mut Vec<News>) -> Progress {
        self.until = None;
        if self.phase == Phase::Signalled {
            return Err(Failure::new(Reason::Timeout, ""));
        }
        // It may have become able to take the signal without a word.
        self.reloading = false;
        let last = self.signal(told)?;
        match self.phase {
            Phase::Signalled => Ok(last),
            _ => Err(self.deadly()),
        }
    }
}

impl AsFd for Reload {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notices.as_fd()
    }
}

/// Who has the name of a process's socket, as far as that can be seen.
fn holder(pid: Pid) -> String {
    let Some(holder) = notify::holder(pid) else {
        return "held by a process that is hidden".into();
    };
    let line = command_line(holder).ok().flatten();
    let name = line.and_then(|line| {
        let first = line.args().next()?.to_string_lossy().into_owned();
        first.rsplit('/').next().map(str::to_owned)
    });
    format!("held by {holder} ({})", name.unwrap_or_default())
}
