//! One reload, from its beginning to its end.
//!
//! The socket on which the server speaks is bound first: it is the lock
//! between two who would reload the same process, and nothing that is said
//! while the config is checked gets lost.

use std::time::{Duration, Instant};

use swift_records::reason::Reason;
use swift_records::state::State;
use swift_server::check::Verdict;
use swift_server::process::Effect;
use swift_sys::epoll::{deadline_in, min_deadline};
use swift_sys::failpoint;

use crate::announcements::Announcements;
use crate::failure::Failure;
use crate::idle::Idle;
use crate::news::{End, News};
use crate::options::Mode;
use crate::target::Target;
use crate::witness::{EVERY, Witness};

/// How long a server that is being started may take until it can take the
/// signal.
pub const SETTLING: Duration = Duration::from_secs(60);

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
    /// The server that is reloaded.
    pub target: Target,
    /// The notifications that it sends.
    pub announcements: Announcements,
    mode: Mode,
    phase: Phase,
    /// The server as it is seen after the signal; none while it is not observed.
    witness: Option<Witness>,
    /// The server as it is seen while it cannot take the signal.
    idle: Idle,
    /// The next observation.
    next_inspection: Option<Instant>,
    /// When its time is over.
    deadline: Option<Instant>,
}

impl Reload {
    /// Takes the lock of a process.
    pub fn begin(target: Target, mode: Mode) -> Result<Reload, Failure> {
        match target.process.may_signal()? {
            Some(true) => {}
            Some(false) => return Err(Failure::denied()),
            None => return Err(Failure::new(Reason::Vanished, "")),
        }
        let announcements = Announcements::of(&target)?;
        failpoint::at("bound");
        Ok(Reload {
            target,
            announcements,
            mode,
            phase: Phase::Checking,
            witness: None,
            idle: Idle::default(),
            next_inspection: None,
            deadline: None,
        })
    }

    /// The deadline of [`Reload::on_deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        min_deadline(self.next_inspection, self.deadline)
    }

    /// True when the signal was sent.
    pub fn is_signalled(&self) -> bool {
        self.phase == Phase::Signalled
    }

    /// Goes on after the check, or without one.
    pub fn on_verdict(&mut self, verdict: Verdict, news: &mut Vec<News>) -> Progress {
        failpoint::at("checked");
        match verdict {
            Verdict::Good => {}
            Verdict::TooOld => news.push(News::TooOld),
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
        self.signal(news)
    }

    /// Signals it if it is still the same, and can take the signal.
    fn signal(&mut self, news: &mut Vec<News>) -> Progress {
        let effect = self.target.effect()?;
        // Another command's reload has to come to its end first: until then the
        // handlers of the old generation are there and do nothing any more.
        if effect != Effect::Taken || self.announcements.reloading {
            return self.settle(effect, news);
        }
        let wait = self.mode.wait.filter(|_| self.target.server.notify);
        if wait.is_some() {
            // Where nothing can be seen, what it says has to do.
            let witness = Witness::new(self.target.pid(), self.target.signal);
            self.witness = witness.ok().flatten();
            let is_seen = self.witness.as_ref().is_some_and(Witness::sees_the_end);
            if let (false, Err(failure)) = (is_seen, self.announcements.socket()) {
                return Err(failure.clone());
            }
        }
        news.push(News::Sending);
        failpoint::at("proven");
        if !self.target.process.signal(self.target.signal)? {
            return Err(self.ended());
        }
        failpoint::at("signalled");
        self.phase = Phase::Signalled;
        self.announcements.ready = false;
        news.push(News::Signalled);
        match wait {
            None => Ok(Some(End::Sent)),
            Some(wait) => {
                self.next_inspection = self.witness.as_ref().and_then(Witness::next_inspection);
                self.deadline = deadline_in(wait);
                Ok(None)
            }
        }
    }

    /// Waits until it can take the signal: until it says that it is ready, or is
    /// seen to be. One that is past its start will not.
    fn settle(&mut self, effect: Effect, news: &mut Vec<News>) -> Progress {
        if self.phase != Phase::Settling {
            self.phase = Phase::Settling;
            self.deadline = deadline_in(self.mode.wait.unwrap_or(SETTLING).min(SETTLING));
            news.push(News::Settling);
        }
        let is_late = self.deadline.is_some_and(|at| at <= Instant::now());
        if is_late || (!self.announcements.reloading && self.idle.observe(self.target.pid())?) {
            return Err(self.unsupported(effect));
        }
        self.next_inspection = deadline_in(EVERY);
        Ok(None)
    }

    /// The signal does something else to it than a reload.
    fn unsupported(&self, effect: Effect) -> Failure {
        let signal = self.target.signal;
        let text = match effect {
            Effect::Ignored => format!("it ignores {signal}"),
            _ => format!("{signal} would kill it"),
        };
        Failure::new(Reason::Unsupported, text)
    }

    /// Goes on after the process has said something.
    pub fn on_readable(&mut self, news: &mut Vec<News>) -> Progress {
        self.receive(news)?;
        if self.phase == Phase::Settling && std::mem::take(&mut self.announcements.ready) {
            return self.signal(news);
        }
        if self.phase == Phase::Signalled && self.announcements.ready && self.has_executed() {
            // It was the new image, if the old one did not say RELOADING=1 before
            // its exec, which has come by now.
            self.receive(news)?;
            self.announcements.announced |= self.announcements.ready;
        }
        self.announcements.ready = false;
        match self.announcements.announced {
            true => self.finish(),
            false => Ok(None),
        }
    }

    fn receive(&mut self, news: &mut Vec<News>) -> Result<(), Failure> {
        let is_signalled = self.is_signalled();
        self.announcements.receive(is_signalled, news)
    }

    /// True when it has executed itself anew since the signal, as far as is seen.
    fn has_executed(&mut self) -> bool {
        let Some(witness) = &mut self.witness else {
            return false;
        };
        witness.observe().is_ok() && witness.has_executed()
    }

    /// Its reload has come to its end.
    fn finish(&self) -> Progress {
        failpoint::at("answered");
        // Another process with its pid could send and show all this.
        if self.target.process.has_ended()? {
            return Err(self.ended());
        }
        match &self.announcements.refused {
            Some(why) => Err(Failure::new(Reason::Refused, why.clone())),
            None => Ok(Some(End::Reloaded)),
        }
    }

    /// The process has ended.
    pub fn ended(&self) -> Failure {
        Failure::new(Reason::Vanished, "")
    }

    /// The time has come to look at it, or to give up.
    pub fn on_deadline(&mut self, news: &mut Vec<News>) -> Progress {
        let is_late = self.deadline.is_some_and(|at| at <= Instant::now());
        if self.phase != Phase::Signalled {
            // What another command began has had its time.
            self.announcements.reloading &= !is_late;
            return self.signal(news);
        }
        if let Some(witness) = &mut self.witness
            && witness.observe().unwrap_or(false)
        {
            self.announcements.refused = None;
            return self.finish();
        }
        if is_late {
            return Err(Failure::new(Reason::Timeout, ""));
        }
        self.next_inspection = self.witness.as_ref().and_then(Witness::next_inspection);
        Ok(None)
    }
}
