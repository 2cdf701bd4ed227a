//! Reloads that go on at the same time, each at its own pace.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use swift_server::actor::Token;
use swift_server::check::{Checks, Verdict};
use swift_sys::epoll::{Epoll, min_deadline};

use crate::failure::Failure;
use crate::news::{End, News};
use crate::options::Mode;
use crate::reload::{Progress, Reload};
use crate::target::Target;

/// The token of the checks. Reloads are the subjects after it.
const CHECKS: Token = Token {
    subject: 1,
    part: 0,
};
/// The part of a reload's notification socket.
const SOCKET: u8 = 0;
/// The part of its process.
const PROCESS: u8 = 1;

/// All of them. The owner waits for the events of `epoll`, and for [`Reloads::deadline`], and then
/// calls [`Reloads::advance`].
pub struct Reloads {
    mode: Mode,
    epoll: Rc<Epoll>,
    checks: Checks,
    reloads: HashMap<u64, Reload>,
    news: Vec<(u64, News)>,
    last: u64,
}

impl Reloads {
    /// None yet; all are done in that mode, and checked by `checks`.
    pub fn new(mode: Mode, checks: Checks, epoll: Rc<Epoll>) -> io::Result<Reloads> {
        epoll.add(&checks, CHECKS.into())?;
        Ok(Reloads {
            mode,
            epoll,
            checks,
            reloads: HashMap::new(),
            news: Vec::new(),
            last: CHECKS.subject,
        })
    }

    /// Begins a reload, unless it has failed already. All its news have the id that this returns.
    pub fn add(&mut self, target: Result<Target, Failure>) -> u64 {
        self.last += 1;
        let id = self.last;
        let token = |part| Token { subject: id, part };
        let begun = target.and_then(|target| {
            let reload = Reload::begin(target, self.mode)?;
            match reload.announcements().socket() {
                Ok(socket) => self.epoll.add(socket, token(SOCKET).into())?,
                Err(failure) => {
                    let why = String::from_utf8_lossy(&failure.text).into_owned();
                    self.news.push((id, News::NotNotified(why)));
                }
            }
            self.epoll.add(reload.process(), token(PROCESS).into())?;
            Ok(reload)
        });
        let mut reload = match begun {
            Ok(reload) => reload,
            Err(failure) => {
                self.news.push((id, News::Ended(End::Failed(failure))));
                return id;
            }
        };
        let checks = self.mode.check && reload.target.server.check;
        let check = checks.then(|| reload.target.config_check());
        self.reloads.insert(id, reload);
        match check {
            Some(Ok(check)) => {
                self.news.push((id, News::Checking));
                self.checks.add(id, check);
            }
            Some(Err(verdict)) => self.checked(id, verdict),
            None => self.checked(id, Verdict::Good),
        }
        id
    }

    /// True when none goes on and all news were taken. Checks whose target has exited
    /// are abandoned.
    pub fn is_idle(&self) -> bool {
        self.reloads.is_empty() && self.news.is_empty()
    }

    /// Lets go of those that were not yet signalled. They have no more news.
    pub fn withdraw(&mut self) {
        self.reloads.retain(|_, reload| reload.is_signalled());
    }

    /// The deadline of [`Reloads::advance`].
    pub fn deadline(&self) -> Option<Instant> {
        if !self.news.is_empty() {
            return Some(Instant::now());
        }
        let reloads = self.reloads.values().filter_map(Reload::deadline).min();
        min_deadline(reloads, self.checks.deadline())
    }

    /// Takes in these events and all that is due, and returns the news. Never waits.
    pub fn advance(&mut self, tokens: &[Token]) -> io::Result<Vec<(u64, News)>> {
        for (id, verdict) in self.checks.advance()? {
            self.checked(id, verdict);
        }
        for Token { subject, part } in tokens.iter().filter(|token| **token != CHECKS) {
            self.go_on(*subject, Reload::on_readable);
            if *part == PROCESS {
                self.go_on(*subject, |reload, _| Err(reload.ended()));
            }
        }
        let now = Instant::now();
        let is_late = |reload: &Reload| reload.deadline().is_some_and(|deadline| deadline <= now);
        let late = self.reloads.iter().filter(|(_, reload)| is_late(reload));
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.go_on(id, Reload::on_deadline);
        }
        Ok(std::mem::take(&mut self.news))
    }

    fn checked(&mut self, id: u64, verdict: Verdict) {
        // The notifications up to now come before what is done next.
        self.go_on(id, Reload::on_readable);
        self.go_on(id, |reload, news| reload.on_verdict(verdict, news));
    }

    /// Lets a reload take a step. It is over, and its descriptors are closed,
    /// when that was the last one.
    fn go_on(&mut self, id: u64, step: impl FnOnce(&mut Reload, &mut Vec<News>) -> Progress) {
        let Some(reload) = self.reloads.get_mut(&id) else {
            return;
        };
        let mut news = Vec::new();
        let end = match step(reload, &mut news) {
            Ok(end) => end,
            Err(failure) => Some(End::Failed(failure)),
        };
        if let Some(end) = end {
            self.reloads.remove(&id);
            news.push(News::Ended(end));
        }
        self.news.extend(news.into_iter().map(|news| (id, news)));
    }
}
