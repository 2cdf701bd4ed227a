//! One reload, from its beginning to its end.
//!
//! The socket on which the server speaks is bound first: it is the lock
//! between two who would reload the same process, and nothing that is said
//! while the config is checked gets lost.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

use swift_records::reason::Reason;
use swift_records::state::State;
use swift_server::check::Verdict;
use swift_server::notify::{self, Holder, Notice, Notifications};
use swift_server::process::{Effect, Process, command_line};
use swift_server::user;
use swift_sys::epoll::{deadline_in, min_deadline};
use swift_sys::error::reason_of;
use swift_sys::failpoint;

use crate::idle::Idle;
use crate::options::Manner;
use crate::target::{Now, Refusal, Target};
use crate::witness::{EVERY, Witness};

/// How long a server that is being started may take until it can take the
/// signal.
pub const SETTLING: Duration = Duration::from_secs(60);

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
            Refusal::Gone | Refusal::Mismatch(_) => Failure::new(Reason::Vanished, ""),
            Refusal::OtherConfig(config) => Failure {
                state: State::WrongConfig,
                ..Failure::new(Reason::Config, config.into_os_string().into_vec())
            },
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
    /// Why the reload goes on without what it says: another user has its socket, or that is out of reach.
    Unheard(String),
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
    /// What it says; or why nothing it says is heard, while what it does may still be seen.
    notifications: Result<Notifications, Failure>,
    manner: Manner,
    phase: Phase,
    /// It has said RELOADING=1 and not READY=1 since.
    reloading: bool,
    /// It has said READY=1 since the signal, and not RELOADING=1 before it.
    ready: bool,
    /// It has said both, in this order.
    announced: bool,
    /// Why its reload failed, as it said together with its READY=1.
    refused: Option<Vec<u8>>,
    /// What is seen of it after the signal; none while that is not looked at.
    witness: Option<Witness>,
    /// What is seen of it while it cannot take the signal.
    idle: Idle,
    /// When it is to be looked at again.
    next_look: Option<Instant>,
    /// When its time is over.
    deadline: Option<Instant>,
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
        let notifications = match Notifications::bind(pid) {
            Ok(notifications) => Ok(notifications),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(intruder(&target)?),
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => Err(Failure::new(
                Reason::Unsupported,
                format!("its socket is {e}"),
            )),
            Err(e) => return Err(Failure::unknown(&e)),
        };
        failpoint::at("bound");
        Ok(Reload {
            target,
            notifications,
            manner,
            phase: Phase::Checking,
            reloading: false,
            ready: false,
            announced: false,
            refused: None,
            witness: None,
            idle: Idle::default(),
            next_look: None,
            deadline: None,
        })
    }

    /// The process, whose descriptor tells its end.
    pub fn process(&self) -> &Process {
        &self.target.process
    }

    /// The socket on which it speaks; none when another user holds its name.
    pub fn socket(&self) -> Option<&impl AsFd> {
        self.notifications.as_ref().ok()
    }

    /// Why nothing it says is heard: another user holds its socket, or its network namespace may not be
    /// entered.
    pub fn unheard(&self) -> Option<String> {
        let failure = self.notifications.as_ref().err()?;
        Some(String::from_utf8_lossy(&failure.text).into_owned())
    }

    /// When [`Reload::late`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        min_deadline(self.next_look, self.deadline)
    }

    /// Whether the signal was sent.
    pub fn is_signalled(&self) -> bool {
        self.phase == Phase::Signalled
    }

    /// Goes on after the check, or without one.
    pub fn checked(&mut self, verdict: Verdict, told: &mut Vec<News>) -> Progress {
        failpoint::at("checked");
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
        let effect = match self.target.again()? {
            Now::Gone => return Err(vanished("")),
            Now::Other => return Err(vanished("it has executed something else")),
            Now::Executing => Effect::Default,
            Now::Same => self.target.effect()?.ok_or_else(|| vanished(""))?,
        };
        // Somebody else's reload has to come to its end first: until then the
        // handlers of the old generation are there and do nothing any more.
        if effect != Effect::Taken || self.reloading {
            return self.settle(effect, told);
        }
        let wait = self.manner.wait.filter(|_| self.target.server.notify);
        if wait.is_some() {
            // Where nothing can be seen, what it says has to do.
            let witness = Witness::new(self.target.pid(), self.target.signal);
            self.witness = witness.ok().flatten();
            let is_seen = self.witness.as_ref().is_some_and(Witness::sees_the_end);
            if let (false, Err(failure)) = (is_seen, &self.notifications) {
                return Err(failure.clone());
            }
        }
        told.push(News::Sending);
        failpoint::at("proven");
        if !self.target.process.signal(self.target.signal)? {
            return Err(vanished(""));
        }
        failpoint::at("signalled");
        self.phase = Phase::Signalled;
        self.ready = false;
        told.push(News::Signalled);
        match wait {
            None => Ok(Some(End::Sent)),
            Some(wait) => {
                self.next_look = self.witness.as_ref().and_then(Witness::next_look);
                self.deadline = deadline_in(wait);
                Ok(None)
            }
        }
    }

    /// Waits until it can take the signal: until it says that it is ready, or is
    /// seen to be. One that is past its start will not.
    fn settle(&mut self, effect: Effect, told: &mut Vec<News>) -> Progress {
        if self.phase != Phase::Settling {
            self.phase = Phase::Settling;
            self.deadline = deadline_in(self.manner.wait.unwrap_or(SETTLING).min(SETTLING));
            told.push(News::Settling);
        }
        let is_late = self.deadline.is_some_and(|at| at <= Instant::now());
        if is_late || (!self.reloading && self.idle.look(self.target.pid())?) {
            return Err(self.unsupported(effect));
        }
        self.next_look = deadline_in(EVERY);
        Ok(None)
    }

    /// What the signal does to it, which is no reload.
    fn unsupported(&self, effect: Effect) -> Failure {
        let signal = self.target.signal;
        let text = match effect {
            Effect::Ignored => format!("it ignores {signal}"),
            _ => format!("{signal} would kill it"),
        };
        Failure::new(Reason::Unsupported, text)
    }

    /// Goes on after the process has said something.
    pub fn hear(&mut self, told: &mut Vec<News>) -> Progress {
        self.take_in(told)?;
        if self.phase == Phase::Settling && std::mem::take(&mut self.ready) {
            return self.signal(told);
        }
        if self.phase == Phase::Signalled && self.ready && self.has_executed() {
            // It was the new image, if the old one did not say RELOADING=1 before
            // its exec, which has come by now.
            self.take_in(told)?;
            self.announced |= self.ready;
        }
        self.ready = false;
        match self.announced {
            true => self.over(),
            false => Ok(None),
        }
    }

    /// Takes in what the process has said.
    fn take_in(&mut self, told: &mut Vec<News>) -> Result<(), Failure> {
        for _ in 0..notify::READ_BUDGET {
            let notifications = self.notifications.as_ref().ok();
            let Some(lines) = notifications.map_or(Ok(None), Notifications::receive)? else {
                break;
            };
            // What failed is told together with the readiness of what was kept.
            self.refused = lines.iter().find_map(Notice::refused).map(<[u8]>::to_vec);
            let is_signalled = self.phase == Phase::Signalled;
            for notice in lines {
                if is_signalled {
                    told.push(News::Heard(notice.clone()));
                }
                match notice {
                    Notice::Reloading => (self.reloading, self.ready) = (true, false),
                    Notice::Ready => {
                        self.announced = is_signalled && self.reloading;
                        (self.reloading, self.ready) = (false, true);
                    }
                    Notice::Stopping => {
                        return Err(Failure::new(Reason::Vanished, "it is stopping"));
                    }
                    Notice::Other(_) => {}
                }
                if self.announced {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether it has executed itself anew since the signal, as far as is seen.
    fn has_executed(&mut self) -> bool {
        let Some(witness) = &mut self.witness else {
            return false;
        };
        witness.look().is_ok() && witness.has_executed()
    }

    /// Its reload has come to its end.
    fn over(&self) -> Progress {
        failpoint::at("answered");
        // Whoever has its number when it has ended could say and show all this.
        if self.process().has_ended()? {
            return Err(self.ended());
        }
        match &self.refused {
            Some(why) => Err(Failure::new(Reason::Refused, why.clone())),
            None => Ok(Some(End::Reloaded)),
        }
    }

    /// The process has ended.
    pub fn ended(&self) -> Failure {
        Failure::new(Reason::Vanished, "")
    }

    /// The time has come to look at it, or to give up.
    pub fn late(&mut self, told: &mut Vec<News>) -> Progress {
        let is_late = self.deadline.is_some_and(|at| at <= Instant::now());
        if self.phase != Phase::Signalled {
            // Whatever somebody else began has had its time.
            self.reloading &= !is_late;
            return self.signal(told);
        }
        if let Some(witness) = &mut self.witness
            && witness.look().unwrap_or(false)
        {
            self.refused = None;
            return self.over();
        }
        if is_late {
            return Err(Failure::new(Reason::Timeout, ""));
        }
        self.next_look = self.witness.as_ref().and_then(Witness::next_look);
        Ok(None)
    }
}

/// The holder of a process's socket, as the reason of a failure, when it is a user who could not
/// reload the process: going on without the socket is all there is against one
/// who never lets go of it. Any other holder may be reloading it, so the reload
/// is `busy`.
fn intruder(target: &Target) -> Result<Failure, Failure> {
    let holder = notify::holder(target.pid());
    let words = holder.map_or("held by a hidden process".into(), described);
    let uid = holder.and_then(|holder| holder.uid);
    let busy = |words: String| Failure::new(Reason::Busy, words);
    let is_other = |uid: u32| ![0, user::own(), target.user().uid].contains(&uid);
    match uid.filter(|uid| is_other(*uid)) {
        Some(uid) => Ok(busy(format!("{words} of {}", user::name(uid)))),
        None => Err(busy(words)),
    }
}

fn described(holder: Holder) -> String {
    let Some(pid) = holder.pid else {
        return "held by a hidden process".into();
    };
    let line = command_line(pid).ok().flatten();
    let name = line.and_then(|line| {
        let first = line.args().next()?.to_string_lossy().into_owned();
        first.rsplit('/').next().map(str::to_owned)
    });
    format!("held by {pid} ({})", name.unwrap_or_default())
}
