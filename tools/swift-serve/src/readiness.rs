//! When a worker counts as ready: when its report has held for a while, or when it is seen to wait for
//! connections.

use std::time::{Duration, Instant};

use swift_server::process::Pid;
use swift_server::process::accepting::{self, Cause, Look, Socket};
use swift_sys::epoll::min_deadline;

use crate::file::{Ready, Settings};
use crate::sockets::Listener;

/// The time that a report has to hold where the file does not say it, unless the worker is seen to wait for
/// connections before. gunicorn ends half a second after its report when its application cannot be imported.
const SETTLE: Duration = Duration::from_secs(2);
/// The pause between the first two looks at a worker. It doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The least pause between looks, as a multiple of the looks themselves.
const PAUSE_PER_LOOK: u32 = 10;

/// The readiness of one worker, while it is awaited.
#[derive(Clone, Debug)]
pub struct Proof {
    reported: Option<Instant>,
    /// When its readiness is decided next.
    pub next: Option<Instant>,
    pause: Duration,
    look: Look,
}

impl Default for Proof {
    /// That of a worker that has not reported anything.
    fn default() -> Proof {
        Proof {
            reported: None,
            next: Some(Instant::now()),
            pause: FIRST_PAUSE,
            look: Look::NotSeen(0, Cause::NotAwaited),
        }
    }
}

impl Proof {
    /// Takes in that the worker reports that it is ready.
    pub fn report(&mut self) {
        let now = Instant::now();
        (self.reported, self.next) = (Some(now), Some(now));
    }

    /// Decides whether the worker is ready by now, or when that is decided next.
    pub fn advance(&mut self, pid: Pid, expected: &Expected) -> bool {
        let Settings { ready, settle, .. } = *expected.settings;
        self.next = None;
        if self.reported.is_none() && ready != Ready::Accept {
            return false;
        }
        let begun = Instant::now();
        if let Some(seconds) = settle {
            let settled_at = self
                .reported
                .map(|at| at + Duration::from_secs(seconds.into()));
            self.next = settled_at.filter(|at| *at > begun);
            if self.next.is_some() {
                return false;
            }
            if ready != Ready::Accept {
                return true;
            }
        }
        self.look = accepting::look(pid, &expected.sockets);
        let now = Instant::now();
        let is_accepting = match self.look {
            Look::Accepting => true,
            // The worker says itself that it accepts what it awaits.
            Look::EdgeTriggered(_) => matches!(ready, Ready::Notify | Ready::Newline),
            Look::NotSeen(..) => false,
        };
        let has_settled = match ready {
            Ready::Accept => is_accepting && (self.is_reported() || settle.unwrap_or(0) == 0),
            _ => {
                is_accepting
                    || self
                        .reported
                        .is_some_and(|at| at + expected.settle() <= now)
            }
        };
        if is_accepting {
            self.reported.get_or_insert(now);
        }
        if !has_settled {
            let took = (now - begun) * PAUSE_PER_LOOK * expected.count;
            // Looks that take long leave time for some of them, and a report that holds waits for none.
            let pause = self
                .pause
                .max(took.min(expected.settings.reload_timeout() / 4));
            let holds = self.reported.filter(|_| ready != Ready::Accept);
            let holds = holds.map(|at| at + expected.settle());
            self.next = min_deadline(Some(now + pause), holds);
            self.pause = (self.pause * 2).min(expected.pause_max);
        }
        has_settled
    }

    /// True when the worker has reported that it is ready, or was seen to be.
    pub fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    /// Words what a worker lacks that is not ready.
    pub fn lacks(&self, settings: &Settings, listeners: &[Listener]) -> String {
        let address = |at: usize| match listeners.get(at) {
            Some(listener) => listener.address.to_string(),
            None => "its sockets".to_owned(),
        };
        match (settings.ready, self.look) {
            _ if self.is_reported() => "it was not ready for long enough".into(),
            (Ready::Accept, Look::NotSeen(at, cause)) => format!(
                "it is not seen to wait for connections on {}: {}",
                address(at),
                cause.text()
            ),
            (Ready::Accept, Look::EdgeTriggered(at)) => format!(
                "it awaits {} edge-triggered, which does not show that it accepts connections",
                address(at)
            ),
            _ => "it has not reported that it is ready".into(),
        }
    }
}

/// The conditions under which the workers of a generation are ready.
pub struct Expected<'a> {
    settings: &'a Settings,
    sockets: Vec<Socket>,
    /// The number of workers that may be looked at in turn.
    count: u32,
    pause_max: Duration,
}

impl<'a> Expected<'a> {
    /// Of so many workers with these settings, on these sockets.
    pub fn new(
        settings: &'a Settings,
        listeners: &[Listener],
        count: usize,
        pause_max: Duration,
    ) -> Expected<'a> {
        let sockets = listeners.iter();
        Expected {
            settings,
            sockets: sockets.filter_map(Listener::seen).collect(),
            count: count as u32,
            pause_max,
        }
    }

    /// The time that a report has to hold where the file does not say it.
    fn settle(&self) -> Duration {
        SETTLE.min(self.settings.reload_timeout() / 2)
    }
}
