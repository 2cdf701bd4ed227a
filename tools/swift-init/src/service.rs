//! The servers of a systemd unit: started, watched, started again when a reload asks for it, and
//! stopped with the unit.
//!
//! They run as they do in the background, under `swift-spawn --supervise`, which tells when each is
//! ready and how it ended. Only this process speaks to systemd (sd_notify(3)).

use std::collections::HashMap;

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::process::Pid;
use swift_sys::signal::Signal;

use crate::act::{Event, Role};
use crate::group::{self, Place};
use crate::options::Options;
use crate::plan;
use crate::report;
use crate::requests::{Id, Requests};
use crate::session::Session;
use crate::systemd::Systemd;
use crate::{init, stop_all};

/// True when a command is the main process of a unit: it stays, and a service manager is there. The
/// first process of a container has its servers on its own output instead, since there is no system
/// log.
pub fn is_one(options: &Options) -> bool {
    let stays = !options.daemon && !options.once && plan::starts(options.command);
    stays && !init::is_init() && Systemd::from_env().is_there()
}

/// One instance of the unit.
struct Instance {
    phase: Phase,
    /// Its process; the last one when it is down.
    pid: Option<Pid>,
    /// The process before it, whose end is yet to be told.
    old: Option<Pid>,
    /// The client that is about to restart it.
    announced: Option<Id>,
    /// The client that waits until it is started.
    asked: Option<Id>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Down,
}

struct Service<'s, 'a> {
    session: &'s mut Session<'a>,
    requests: Requests,
    instances: HashMap<Place, Instance>,
    is_ready: bool,
}

/// Why the service ends.
enum End {
    /// It was asked to.
    Asked,
    /// All servers have been stopped.
    Empty,
    /// A server failed, or a tool: which, and how.
    Failed(String),
}

/// Starts all servers of the command and stays until they are to end. True when nothing failed.
pub fn run(session: &mut Session) -> anyhow::Result<bool> {
    if !may_start(session) {
        return Ok(false);
    }
    let starting = session.announce_starts(true)?;
    session.voice.flush();
    session.act.leave_terminal();
    let requests = Requests::listen(session.run_dir(), &session.act)?;
    for place in &starting {
        let row = session.to_start(*place);
        session.spawn(*place, &row)?;
    }
    let instances = starting.into_iter().map(|place| (place, Instance::new()));
    let mut service = Service {
        instances: instances.collect(),
        session,
        requests,
        is_ready: false,
    };
    service.show();
    let end = service.run_on()?;
    service.end(end)
}

/// Says what keeps the unit from starting: a server that runs already, since a unit that took it
/// over would not own it, and a config that is missing. Nothing is started beside either.
fn may_start(session: &mut Session) -> bool {
    let mut may = true;
    let systemd = &session.act.systemd;
    let refuse = |what: String| {
        report::say(&what);
        systemd.status(&what);
        false
    };
    for group in &session.groups {
        let rows = || group.rows.iter().filter(|row| !row.is_orphan());
        for row in rows().filter(|row| row.state != State::Unconfigured) {
            may &= group::may_be_started(row) || refuse(report::not_started(row));
        }
        if session.strict && rows().all(|row| row.state == State::Unconfigured) {
            may &= refuse(format!("no config of {} was found", group.server.name));
        }
    }
    let rows = || session.groups.iter().flat_map(|group| &group.rows);
    if may && !rows().any(group::may_be_started) {
        return refuse("there is nothing to start".to_owned());
    }
    may
}

impl Instance {
    fn new() -> Instance {
        Instance {
            phase: Phase::Starting,
            pid: None,
            old: None,
            announced: None,
            asked: None,
        }
    }
}

impl Service<'_, '_> {
    /// Does what is to be done until the service ends.
    fn run_on(&mut self) -> anyhow::Result<End> {
        loop {
            self.session.voice.flush();
            match self.session.act.next()? {
                Some(Event::Asked(_)) => return Ok(End::Asked),
                Some(Event::Row(_, row)) => {
                    if let Some(end) = self.spawned(row)? {
                        return Ok(end);
                    }
                }
                Some(Event::Other) => self.take_requests()?,
                Some(Event::Lost(_)) => {}
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

    /// Takes in what swift-spawn says of an instance. Some when the service is to end.
    fn spawned(&mut self, row: Row) -> anyhow::Result<Option<End>> {
        let Some(place) = self.session.place_of(row.id()) else {
            return Ok(None);
        };
        // A client asks before it signals: what it asked is known before the end is judged.
        self.take_requests()?;
        let Some(instance) = self.instances.get_mut(&place) else {
            return Ok(None);
        };
        if row.pid.is_some() && row.pid == instance.old && row.state != State::Started {
            instance.old = None;
            return Ok(None);
        }
        // The client that asked for it writes the line in the system's log.
        self.session.log.pause(instance.asked.is_some());
        if let Some(id) = instance.asked {
            self.requests.answer(id, &row);
        }
        match row.state {
            State::Started => {
                instance.pid = row.pid;
                self.session.replace(&row);
            }
            State::Ready => {
                (instance.phase, instance.asked) = (Phase::Ready, None);
                self.session.spawned(row);
                self.show();
            }
            State::Finished | State::Failed if instance.phase == Phase::Ready => {
                return self.ended(place, &row);
            }
            _ => {
                instance.phase = Phase::Down;
                let what = report::not_started(&row);
                if row.state == State::Finished || group::runs(&row) {
                    report::say(&what);
                }
                self.session.spawned(row);
                return Ok(Some(End::Failed(what)));
            }
        }
        Ok(None)
    }

    /// Judges the end of a server that was ready. Some when it has crashed.
    fn ended(&mut self, place: Place, row: &Row) -> anyhow::Result<Option<End>> {
        let Some(instance) = self.instances.get_mut(&place) else {
            return Ok(None);
        };
        instance.phase = Phase::Down;
        if instance.announced.is_none() && !is_clean(row) {
            self.session.replace(row);
            let what = report::ended(row);
            report::say(&format!("{what}: this unit fails"));
            return Ok(Some(End::Failed(what)));
        }
        self.start_announced()?;
        self.show();
        Ok(None)
    }

    /// Takes in what clients ask for.
    fn take_requests(&mut self) -> anyhow::Result<()> {
        for (id, row) in self.requests.take(&self.session.act)? {
            let place = self.session.place_of(row.id());
            let instance = place.and_then(|place| self.instances.get_mut(&place));
            match (row.state, instance) {
                (State::Running, Some(instance)) if instance.pid == row.pid => {
                    instance.announced = Some(id);
                }
                (State::Stopped, Some(instance)) => {
                    instance.asked = Some(id);
                    self.give(place.expect("it is an instance's"))?;
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
        let left: Vec<Place> = left.map(|(place, _)| *place).collect();
        left.into_iter().try_for_each(|place| self.give(place))
    }

    /// Has an instance started again.
    fn give(&mut self, place: Place) -> anyhow::Result<()> {
        let Some(instance) = self.instances.get_mut(&place) else {
            return Ok(());
        };
        if instance.phase == Phase::Ready {
            instance.old = instance.pid;
        }
        (instance.phase, instance.pid, instance.announced) = (Phase::Starting, None, None);
        let (group, number) = place;
        let row = self.session.groups[group].rows[number].clone();
        let row = Row {
            pid: None,
            start: None,
            ..row
        };
        self.session
            .act
            .give(Role::Spawn, &row.with_state(State::Stopped));
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
            self.session.act.systemd.ready(&text);
        } else {
            self.session.act.systemd.status(&text);
        }
    }

    /// The instances that do not run.
    fn down(&self) -> String {
        let mut places: Vec<&Place> = self.instances.keys().collect();
        places.retain(|place| self.instances[place].phase != Phase::Ready);
        places.sort();
        let names = places.into_iter().map(|&(group, number)| {
            let row = &self.session.groups[group].rows[number];
            report::name(&row.server, row.config.as_deref())
        });
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
        self.session.act.systemd.stopping(&what);
        // What becomes of them is told by their stop.
        self.session.log.pause(true);
        let done = stop_all::stop(self.session, left, graceful)?;
        Ok(done && !matches!(end, End::Failed(_)))
    }

    /// The rows of what runs, as they are when swift-signal is given them.
    fn left(&self) -> Vec<Row> {
        let mut places: Vec<&Place> = self.instances.keys().collect();
        places.sort();
        let rows = places.into_iter().filter_map(|place| {
            let (group, number) = *place;
            let row = &self.session.groups[group].rows[number];
            let instance = &self.instances[place];
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

fn servers(count: usize) -> String {
    match count {
        1 => "1 server".to_owned(),
        _ => format!("{count} servers"),
    }
}
