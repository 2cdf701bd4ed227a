//! The servers of a systemd unit: started, watched, started again when a reload asks for it, and
//! stopped with the unit.
//!
//! They run as they do in the background, under `swift-spawn --supervise`, which reports when each is
//! ready and how it ended. Only this process speaks to systemd (sd_notify(3)).

use std::collections::BTreeMap;

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::process::Pid;
use swift_sys::session;
use swift_sys::signal::Signal;

use super::start::{self, After};
use super::stop_unit;
use crate::actors::{Event, Role};
use crate::console::Systemd;
use crate::console::diagnostics::{self, servers};
use crate::options::Options;
use crate::outcome;
use crate::requests::{Id, Requests};
use crate::run::Run;
use crate::table::{self, RowIndex};

/// True when a command is the main process of a unit: it stays, and a service manager is there. The
/// first process of a container has its servers on its own output instead, since there is no system
/// log.
pub fn is_one(options: &Options) -> bool {
    let stays = options.foreground && !options.once && options.command.starts();
    stays && !session::is_init() && Systemd::from_env().is_there()
}

/// One instance of the unit.
#[derive(Default)]
struct Instance {
    phase: Phase,
    /// Its process; the last one when it is down.
    pid: Option<Pid>,
    /// The process before it, whose end is yet to be reported.
    old: Option<Pid>,
    /// The client that is about to restart it.
    announced: Option<Id>,
    /// The client that waits until it is started.
    asked: Option<Id>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Ready,
    Down,
}

struct Service<'s, 'a> {
    run: &'s mut Run<'a>,
    requests: Requests,
    instances: BTreeMap<RowIndex, Instance>,
    is_ready: bool,
}

/// The reason for the end of the service.
enum End {
    /// A request to end.
    Asked,
    /// All servers have been stopped.
    Empty,
    /// A server failed, or a tool: which, and how.
    Failed(String),
}

/// Starts all servers of the command and stays until they are to end. True when nothing failed.
pub fn service(run: &mut Run) -> anyhow::Result<bool> {
    if !may_start(run) {
        return Ok(false);
    }
    let starting = start::announce(run, After::Observing);
    run.console.flush();
    run.console.progress.disable();
    let requests = Requests::listen(run.actors.run_dir(), &run.actors.epoll)?;
    for at in &starting {
        run.spawn(*at)?;
    }
    let instances = starting.into_iter().map(|at| (at, Instance::default()));
    let mut service = Service {
        instances: instances.collect(),
        run,
        requests,
        is_ready: false,
    };
    service.show();
    let end = service.run_on()?;
    service.end(end)
}

/// Reports what keeps the unit from starting: a server that runs already, since a unit that took it
/// over would not own it, and a config that is missing. Nothing is started beside either.
fn may_start(run: &mut Run) -> bool {
    let mut refusals = Vec::new();
    for group in &run.table.groups {
        let rows = || group.rows.iter().filter(|row| !row.is_orphan());
        let running = rows()
            .filter(|row| row.state != State::Unconfigured && !table::may_be_started(row))
            .map(diagnostics::not_started);
        refusals.extend(running);
        if run.strict && rows().all(|row| row.state == State::Unconfigured) {
            refusals.push(format!("no config of {} was found", group.server.name));
        }
    }
    if refusals.is_empty() && !run.table.rows().any(table::may_be_started) {
        refusals.push("there is nothing to start".to_owned());
    }
    for what in &refusals {
        run.console.error(what);
        run.console.systemd.status(what);
    }
    refusals.is_empty()
}

impl Service<'_, '_> {
    /// Does what is to be done until the service ends.
    fn run_on(&mut self) -> anyhow::Result<End> {
        loop {
            self.run.console.flush();
            match self.run.next_event()? {
                Some(Event::Asked(_)) => return Ok(End::Asked),
                Some(Event::Row(_, at, row)) => {
                    if let Some(end) = self.spawned(at, row)? {
                        return Ok(end);
                    }
                }
                Some(Event::Request) => self.take_requests()?,
                Some(Event::NoResult(_)) => {}
                // swift-spawn stays as long as it may get rows.
                Some(Event::End(_)) | None => {
                    return Ok(End::Failed("swift-spawn has ended".to_owned()));
                }
            }
            let waits = |id| self.instances.values().any(|one| one.asked == Some(id));
            self.requests.close_answered(waits);
            if self.instances.values().all(Instance::is_over) {
                return Ok(End::Empty);
            }
        }
    }

    /// Takes in a row of swift-spawn. Some when the service is to end.
    fn spawned(&mut self, at: RowIndex, row: Row) -> anyhow::Result<Option<End>> {
        // A client asks before it signals: what it asked is known before the end is judged.
        self.take_requests()?;
        let Some(instance) = self.instances.get_mut(&at) else {
            return Ok(None);
        };
        if row.pid.is_some() && row.pid == instance.old && row.state != State::Started {
            instance.old = None;
            return Ok(None);
        }
        // The client that asked for it writes the line in the system's log.
        self.run.log.paused = instance.asked.is_some();
        if let Some(id) = instance.asked {
            self.requests.answer(id, &row);
        }
        match row.state {
            State::Started => {
                instance.pid = row.pid;
                self.run.replace(at, row);
            }
            State::Ready => {
                (instance.phase, instance.asked) = (Phase::Ready, None);
                outcome::spawned(self.run, at, &row);
                self.show();
            }
            State::Finished | State::Failed if instance.phase == Phase::Ready => {
                instance.phase = Phase::Down;
                if instance.announced.is_none() && !is_clean(&row) {
                    let what = diagnostics::ended(&row);
                    self.run.replace(at, row);
                    self.run.console.error(&format!("{what}: this unit fails"));
                    return Ok(Some(End::Failed(what)));
                }
                self.start_announced()?;
                self.show();
            }
            _ => {
                instance.phase = Phase::Down;
                let what = diagnostics::not_started(&row);
                if row.state == State::Finished || table::runs(&row) {
                    self.run.console.error(&what);
                }
                outcome::spawned(self.run, at, &row);
                return Ok(Some(End::Failed(what)));
            }
        }
        Ok(None)
    }

    /// Takes in the requests of clients.
    fn take_requests(&mut self) -> anyhow::Result<()> {
        for (id, row) in self.requests.take(&self.run.actors.epoll)? {
            let at = self.run.table.find(&row);
            let instance = at.and_then(|at| Some((at, self.instances.get_mut(&at)?)));
            match (row.state, instance) {
                (State::Running, Some((_, instance))) if instance.pid == row.pid => {
                    instance.announced = Some(id);
                }
                (State::Stopped, Some((at, instance))) => {
                    instance.asked = Some(id);
                    self.start_again(at)?;
                }
                (State::Stopped, None) => {
                    let why = b"it does not belong to this unit";
                    let row = row.with(State::Failed, Reason::Interrupted, why);
                    self.requests.answer(id, &row);
                }
                _ => {}
            }
        }
        self.start_announced()
    }

    /// Starts what a client has ended that is gone: what was to be restarted never stays down.
    fn start_announced(&mut self) -> anyhow::Result<()> {
        let is_left = |instance: &Instance| {
            let client = instance.announced;
            instance.phase == Phase::Down && client.is_some_and(|id| !self.requests.is_open(id))
        };
        let left = self.instances.iter().filter(|(_, one)| is_left(one));
        let left: Vec<RowIndex> = left.map(|(at, _)| *at).collect();
        left.into_iter().try_for_each(|at| self.start_again(at))
    }

    /// Has an instance started again.
    fn start_again(&mut self, at: RowIndex) -> anyhow::Result<()> {
        let Some(instance) = self.instances.get_mut(&at) else {
            return Ok(());
        };
        if instance.phase == Phase::Ready {
            instance.old = instance.pid;
        }
        (instance.phase, instance.pid, instance.announced) = (Phase::Starting, None, None);
        let row = Row {
            pid: None,
            start: None,
            ..self.run.table[at].clone().with_state(State::Stopped)
        };
        self.run.actors.send(Role::Spawn, at, &row, false)?;
        self.show();
        Ok(())
    }

    /// Tells systemd how the servers are, and that all are ready when they are for the first time.
    fn show(&mut self) {
        let count = |phase| {
            let instances = self.instances.values();
            instances.filter(|one| one.phase == phase).count()
        };
        let (ready, all) = (count(Phase::Ready), self.instances.len());
        let text = match ready {
            _ if !self.is_ready && ready < all => {
                format!("starting: {ready} of {} ready", servers(all))
            }
            _ if ready == all => format!("{} running", servers(all)),
            _ => format!("{ready} of {} running; down: {}", servers(all), self.down()),
        };
        if ready == all && !std::mem::replace(&mut self.is_ready, true) {
            self.run.console.systemd.ready(&text);
        } else {
            self.run.console.systemd.status(&text);
        }
    }

    /// The instances that do not run.
    fn down(&self) -> String {
        let down = self.instances.iter();
        let down = down.filter(|(_, one)| one.phase != Phase::Ready);
        let names = down.map(|(at, _)| self.run.table[*at].name());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Stops what this service started, and nothing else.
    fn end(self, end: End) -> anyhow::Result<bool> {
        let graceful = matches!(end, End::Asked);
        let left: Vec<Row> = self.left();
        let what = match end {
            End::Empty => "all servers were stopped".to_owned(),
            End::Asked => format!("stopping {}", servers(left.len())),
            End::Failed(ref what) => what.clone(),
        };
        self.run.console.systemd.stopping(&what);
        // Their stop reports on them.
        self.run.log.paused = true;
        let done = stop_unit::stop(self.run, left, graceful)?;
        Ok(done && !matches!(end, End::Failed(_)))
    }

    /// The rows of what runs.
    fn left(&self) -> Vec<Row> {
        let instances = self.instances.iter();
        let rows = instances.filter_map(|(at, instance)| {
            let row = &self.run.table[*at];
            let runs = instance.phase != Phase::Down && row.pid.is_some();
            (runs && row.pid == instance.pid).then(|| row.clone())
        });
        rows.collect()
    }
}

impl Instance {
    /// True when it was stopped, and nothing will start it again.
    fn is_over(&self) -> bool {
        self.phase == Phase::Down && self.announced.is_none()
    }
}

/// True for an end that was asked for: systemd.service(5) counts the same as clean, SIGPIPE aside,
/// which no administrator sends.
fn is_clean(row: &Row) -> bool {
    let clean = [Signal::TERM, Signal::HUP, Signal::INT];
    match row.reason() {
        Some(Reason::Signal(number)) => clean.iter().any(|s| s.number() == i32::from(number)),
        _ => row.state == State::Finished,
    }
}
