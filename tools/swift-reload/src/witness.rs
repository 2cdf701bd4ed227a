//! A reload as it is seen from outside, since not every server says when it is
//! over: releases of Swift before 2.35 say nothing on the socket of their pid,
//! and when one is replaced by another, only one of the two may speak.
//!
//! The process executes itself anew: SIGUSR1 goes from caught to its default
//! action, and its stack lies elsewhere. Before that the old image forks a
//! child, which keeps the old sockets until the new image tells it that it is
//! ready, and then ends (run_wsgi and signal_ready in swift/common/wsgi.py).
//! The new image catches SIGUSR1 again and forks its workers.
//!
//! The kernel has no event for any of this. It is the one thing that is looked
//! for again and again: every 50 ms, and only until READY=1 comes.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use swift_server::process::{Pid, child_numbers, disposition, stat};
use swift_sys::epoll::deadline_in;
use swift_sys::signal::Signal;

/// How much time passes between two looks.
pub const EVERY: Duration = Duration::from_millis(50);

/// How many looks in succession have to show that the reload is over. Two, so
/// that a worker which ends at once is none, and READY=1, if it comes, is first.
const LOOKS: u32 = 2;

/// The same where the new image shows neither a handler nor a worker, and only
/// the end of the old one's child: it may run without workers.
const LOOKS_WITHOUT_WORKER: u32 = 20;

/// A child: its pid and its start.
type Child = (Pid, u64);

/// A process as it is seen from just before the signal on.
#[derive(Debug)]
pub struct Witness {
    pid: Pid,
    signal: Signal,
    /// Where the old image's stack begins, if that is shown.
    stack: Option<u64>,
    /// True when the old image has a handler. Without one, as with signalfd(2),
    /// nothing but the stack tells one image from the next.
    caught: bool,
    /// True when it had children, as it has when it does not serve by itself.
    had_workers: bool,
    /// Its children that are no workers of the new image.
    before: HashSet<Child>,
    executed: bool,
    /// Those that the old image has forked since, known by their stack.
    socket_holders: HashSet<Child>,
    /// How many looks have shown it to have executed anew with a stack that is
    /// not shown, or lies where it was: then no child is known by its stack.
    blind: u32,
    /// How many looks in succession have shown that all is there.
    over: u32,
    /// How many looks have shown that a socket holder has ended.
    released: u32,
}

impl Witness {
    /// A look at a process that is about to get the signal; none when it is gone.
    pub fn new(pid: Pid, signal: Signal) -> io::Result<Option<Witness>> {
        let (Some(stat), Some(now)) = (stat(pid)?, disposition(pid, signal)?) else {
            return Ok(None);
        };
        let children = children(pid)?;
        Ok(Some(Witness {
            pid,
            signal,
            stack: stat.stack,
            caught: now.caught,
            had_workers: !children.is_empty(),
            before: children.into_iter().map(|(child, _)| child).collect(),
            executed: false,
            socket_holders: HashSet::new(),
            blind: 0,
            over: 0,
            released: 0,
        }))
    }

    /// True when the end of a reload can be seen: not of one without a handler.
    pub fn sees_the_end(&self) -> bool {
        self.caught
    }

    /// When there is something to be seen by a look.
    pub fn next_inspection(&self) -> Option<Instant> {
        self.caught.then(|| deadline_in(EVERY)).flatten()
    }

    /// True when it was seen to have executed itself anew.
    pub fn has_executed(&self) -> bool {
        self.executed
    }

    /// Observes it; `true` when the reload is over. What is seen is of the
    /// process that has this pid now.
    pub fn observe(&mut self) -> io::Result<bool> {
        let (Some(stat), Some(now)) = (stat(self.pid)?, disposition(self.pid, self.signal)?) else {
            return Ok(false);
        };
        let moved = matches!((self.stack, stat.stack), (Some(old), Some(new)) if old != new);
        self.executed |= moved || (self.caught && !now.caught);
        if !self.executed || !self.caught {
            return Ok(false);
        }
        let mut children = children(self.pid)?;
        children.retain(|(child, _)| !self.before.contains(child));
        if moved {
            let of_old = children.iter().filter(|(_, stack)| *stack == self.stack);
            self.socket_holders.extend(of_old.map(|(child, _)| *child));
        } else {
            self.blind += 1;
            // The new image forks no worker before it has its handlers.
            if self.blind == LOOKS && !now.caught {
                self.before.extend(children.iter().map(|(child, _)| *child));
            }
            if self.blind <= LOOKS {
                return Ok(false);
            }
        }
        let lives = |holder: &Child| children.iter().any(|(child, _)| child == holder);
        let released = self.socket_holders.iter().any(|holder| !lives(holder));
        let worker = children
            .iter()
            .any(|(c, _)| !self.socket_holders.contains(c));
        let is_over = now.caught
            && (released || self.socket_holders.is_empty())
            && (worker || !self.had_workers);
        self.over = if is_over { self.over + 1 } else { 0 };
        self.released = if released { self.released + 1 } else { 0 };
        Ok(self.over >= LOOKS || self.released >= LOOKS_WITHOUT_WORKER)
    }
}

/// The children of a process that run, and where their stacks begin.
fn children(pid: Pid) -> io::Result<Vec<(Child, Option<u64>)>> {
    let mut children = Vec::new();
    for number in child_numbers(pid)? {
        let Some(stat) = stat(number)? else {
            continue;
        };
        if stat.parent == pid.raw() && !stat.is_ending() {
            children.push(((number, stat.start), stat.stack));
        }
    }
    Ok(children)
}
