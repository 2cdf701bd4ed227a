//! The tools that act, as processes. This program stands between them, since people are told of each
//! step when it is done.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use swift_cli::text;
use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_server::rundir::RunDir;
use swift_server::stream::{Input, Next};
use swift_sys::epoll::{Epoll, min_deadline};
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;
use swift_sys::{failpoint, fd, handover};

use crate::console::{Console, diagnostics};
use crate::options::Options;
use crate::plan::{self, ToolCommand};
use crate::reaper::REQUESTS;
use crate::table::{RowIndex, Table};
use crate::tool::{self, Tool};
use crate::tool_process::{Awaited, Channel, ToolProcess};
use crate::{environment, requests};

/// The part that a tool plays; its token, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// swift-signal.
    Signal,
    /// swift-reload.
    Reload,
    /// swift-spawn.
    Spawn,
}

const ROLES: [Role; 3] = [Role::Signal, Role::Reload, Role::Spawn];

/// The token of signals to this process.
const SIGNALS: u64 = 3;

/// The descriptors that swift-spawn hands on in the foreground: it needs its own three for rows and
/// messages.
const HANDED_OVER: [(&str, &str); 3] = [
    ("--input-fd", "3"),
    ("--output-fd", "4"),
    ("--error-fd", "5"),
];

/// An event of the tools that act.
pub enum Event {
    /// A tool wrote a row.
    Row(Role, RowIndex, Row),
    /// A tool has ended without reporting a result for this instance.
    NoResult(RowIndex),
    /// A tool has ended, and all its rows were seen.
    End(Role),
    /// This process was asked to end.
    Asked(Signal),
    /// A request has come to the main process of a unit.
    Request,
}

/// The tools that act.
pub struct Actors<'a> {
    /// The descriptors that are watched.
    pub epoll: Epoll,
    /// True as long as each tool has ended properly.
    pub sound: bool,
    /// True when requests to end this process repeat one that is obeyed already.
    pub ignores_requests: bool,
    options: &'a Options,
    catalogue: &'a Catalogue,
    signals: SignalFd,
    tools: [Option<ToolProcess>; 3],
    events: VecDeque<Event>,
    /// True when a tool was asked to begin nothing more, and may have ended because of it.
    halted: bool,
    limit_warnings: Option<Vec<String>>,
}

impl<'a> Actors<'a> {
    /// No tool yet. From here on, requests to end come as events.
    pub fn new(options: &'a Options, catalogue: &'a Catalogue) -> anyhow::Result<Actors<'a>> {
        let signals = SignalFd::new(&REQUESTS)?;
        let epoll = Epoll::new()?;
        epoll.add(&signals, SIGNALS)?;
        Ok(Actors {
            epoll,
            sound: true,
            ignores_requests: false,
            options,
            catalogue,
            signals,
            tools: [None, None, None],
            events: VecDeque::new(),
            halted: false,
            limit_warnings: None,
        })
    }

    /// The directory of pid files.
    pub fn run_dir(&self) -> &'a Path {
        let run_dir = self.options.run_dir.as_ref();
        run_dir.unwrap_or(&self.catalogue.run_dir)
    }

    /// Starts a tool when it does not run yet.
    pub fn ensure(&mut self, role: Role) -> anyhow::Result<()> {
        if self.runs(role) {
            return Ok(());
        }
        match role {
            Role::Signal => self.start_signal(),
            Role::Reload => {
                let command = plan::reload(self.options);
                self.start(role, command, !self.options.no_wait, &[])
            }
            Role::Spawn => self.start_spawn(),
        }
    }

    fn start_signal(&mut self) -> anyhow::Result<()> {
        let mut command = plan::signal(self.options, self.catalogue);
        command.arg("--announce");
        if !self.options.supervise {
            return self.start(Role::Signal, command, true, &[]);
        }
        // What runs is stopped by the site's file that it was started by.
        let site = handover::note(self.catalogue.site.as_bytes())?;
        command.value("--site-file", "/proc/self/fd/3");
        self.start(Role::Signal, command, true, &[site.as_fd()])
    }

    /// In a reload of the unit that this process belongs to, the unit's main process takes the part of
    /// swift-spawn: the servers that it starts are its own children.
    fn start_spawn(&mut self) -> anyhow::Result<()> {
        if !self.options.foreground
            && let Some(socket) = requests::connect(self.run_dir())?
        {
            let input = fd::duplicate(&socket)?;
            return self.enter(Role::Spawn, None, Channel::Socket(socket), input, true);
        }
        self.raise_limits();
        let mut command = plan::spawn(self.options);
        command.arg("--keep-limits");
        if !self.options.foreground {
            return self.start(Role::Spawn, command, !self.options.no_wait, &[]);
        }
        let handed_over = HANDED_OVER.iter();
        handed_over.for_each(|(option, fd)| command.value(option, fd));
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let own = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        self.start(Role::Spawn, command, true, &own)
    }

    fn start(
        &mut self,
        role: Role,
        mut command: ToolCommand,
        waits: bool,
        extra: &[BorrowedFd],
    ) -> anyhow::Result<()> {
        command.arg("--quiet");
        let (read, write) = fd::pipe()?;
        let (tool, output) = tool::start(&command, Some(read), extra)?;
        let to = Channel::thread(write, command.name)?;
        self.enter(role, Some(tool), to, output, waits)?;
        failpoint::at("tool-started");
        Ok(())
    }

    fn enter(
        &mut self,
        role: Role,
        tool: Option<Tool>,
        to: Channel,
        input: OwnedFd,
        waits: bool,
    ) -> anyhow::Result<()> {
        let input = Input::new(input);
        input.watch(&self.epoll, role as u64)?;
        self.tools[role as usize] = Some(ToolProcess {
            tool,
            to,
            input,
            waits,
            awaited: BTreeMap::new(),
        });
        Ok(())
    }

    /// To be called before anything is stopped that is to be started again: ensures that swift-spawn
    /// runs and that pid files can be changed at all.
    pub fn prepare_restarts(&mut self) -> anyhow::Result<()> {
        environment::need_pid_files()?;
        if let Some(run_dir) = RunDir::open(self.run_dir())? {
            drop(run_dir.lock()?);
        }
        self.ensure(Role::Spawn)
    }

    fn raise_limits(&mut self) {
        let wanted = &self.catalogue.limits;
        self.limit_warnings
            .get_or_insert_with(|| environment::raise_limits(wanted));
    }

    /// Raises the limits that servers inherit, and returns once which could not be raised.
    pub fn limit_warnings(&mut self) -> Vec<String> {
        if self.unit_spawns() {
            // Servers that another process starts inherit nothing of this one.
            return Vec::new();
        }
        self.raise_limits();
        self.limit_warnings.replace(Vec::new()).unwrap_or_default()
    }

    /// Announces to the main process of the unit that an instance is about to be ended in order to be
    /// started again. swift-spawn itself need not know.
    pub fn announce_restart(&self, row: &Row) {
        if let Some(tool) = &self.tools[Role::Spawn as usize]
            && tool.tool.is_none()
        {
            tool.to.send(row);
        }
    }

    /// True when the main process of the unit takes the part of swift-spawn.
    fn unit_spawns(&self) -> bool {
        let tool = &self.tools[Role::Spawn as usize];
        tool.as_ref().is_some_and(|tool| tool.tool.is_none())
    }

    /// Sends a row to a tool, which is started when it does not run yet.
    pub fn send(&mut self, role: Role, at: RowIndex, row: &Row) -> anyhow::Result<()> {
        self.submit(role, at, row, false)
    }

    /// The same for a row that the tool only begins: its server does not announce the end.
    pub fn send_to_begin(&mut self, role: Role, at: RowIndex, row: &Row) -> anyhow::Result<()> {
        self.submit(role, at, row, true)
    }

    fn submit(
        &mut self,
        role: Role,
        at: RowIndex,
        row: &Row,
        begin_only: bool,
    ) -> anyhow::Result<()> {
        self.ensure(role)?;
        let tool = self.tools[role as usize].as_mut();
        let tool = tool.expect("it was started");
        let awaited = Awaited {
            // The pid of what is to be started is not known yet; the pid file may have held another.
            pid: row.pid.filter(|_| role != Role::Spawn),
            begin_only,
            has_begun: false,
        };
        tool.awaited.insert(at, awaited);
        tool.to.send(row);
        failpoint::at("row-given");
        Ok(())
    }

    /// Sends no more rows to a tool.
    pub fn close(&mut self, role: Role) {
        if let Some(tool) = &mut self.tools[role as usize] {
            tool.to.close();
        }
    }

    /// True while a tool runs.
    pub fn runs(&self, role: Role) -> bool {
        self.tools[role as usize].is_some()
    }

    /// True when a tool has begun, or ended, all that it was sent, or is gone.
    pub fn has_begun(&self, role: Role) -> bool {
        let tool = self.tools[role as usize].as_ref();
        tool.is_none_or(ToolProcess::has_begun)
    }

    /// True when a tool has begun all that it was sent, and every event up to that was taken.
    pub fn has_reported(&self, role: Role) -> bool {
        self.has_begun(role) && self.events.is_empty()
    }

    /// Asks swift-spawn to begin nothing more, and waits until it has reported of all that it was sent:
    /// begun, or not. Returns the rows of all tools meanwhile. Another request to end this process
    /// repeats the one that is the cause of this.
    pub fn halt_spawn(
        &mut self,
        table: &Table,
        console: &mut Console,
    ) -> anyhow::Result<Vec<(Role, RowIndex, Row)>> {
        let mut rows = Vec::new();
        if let Some(tool) = &mut self.tools[Role::Spawn as usize] {
            tool.halt()?;
            self.halted = true;
        }
        while !self.has_reported(Role::Spawn)
            && let Some(event) = self.next(table, console)?
        {
            if let Event::Row(role, at, row) = event {
                rows.push((role, at, row));
            }
        }
        Ok(rows)
    }

    /// Awaits no more results: they are known from elsewhere.
    pub fn forget_awaited(&mut self) {
        let tools = self.tools.iter_mut().flatten();
        tools.for_each(|tool| tool.awaited.clear());
    }

    /// The next event; none when all tools have ended.
    pub fn next(&mut self, table: &Table, console: &mut Console) -> anyhow::Result<Option<Event>> {
        self.next_before(None, table, console)
    }

    /// The next event; none when all tools have ended, or at the deadline.
    pub fn next_before(
        &mut self,
        deadline: Option<Instant>,
        table: &Table,
        console: &mut Console,
    ) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if self.have_ended() || is_late {
                return Ok(None);
            }
            self.wait(deadline, table, console)?;
        }
    }

    fn have_ended(&self) -> bool {
        self.tools.iter().all(Option::is_none)
    }

    /// True when the next event has come already.
    pub fn has_more(&mut self, table: &Table, console: &mut Console) -> anyhow::Result<bool> {
        if self.events.is_empty() && !self.have_ended() {
            self.wait(Some(Instant::now()), table, console)?;
        }
        Ok(!self.events.is_empty())
    }

    fn wait(
        &mut self,
        deadline: Option<Instant>,
        table: &Table,
        console: &mut Console,
    ) -> anyhow::Result<()> {
        console.systemd.beat();
        let tokens = self
            .epoll
            .wait(min_deadline(deadline, console.deadline()))?;
        // A request that came before a row of a tool is known before it.
        if tokens.contains(&SIGNALS) {
            self.is_asked()?;
        }
        for token in tokens.into_iter().filter(|token| *token != SIGNALS) {
            match ROLES.get(token as usize) {
                Some(role) => self.on_readable(*role, table, console)?,
                None => self.events.push_back(Event::Request),
            }
        }
        console.tick(|| {
            let awaited = self.tools.iter().flatten().flat_map(|tool| &tool.awaited);
            awaited.map(|(at, one)| {
                let name = text::one_line(table[*at].server.as_bytes());
                match one.pid {
                    Some(pid) => format!("{name} ({pid})"),
                    None => name,
                }
            })
        });
        Ok(())
    }

    /// True when this process was asked to end, and that event is yet to be taken.
    fn is_asked(&mut self) -> anyhow::Result<bool> {
        while let Some(signal) = self.signals.take()? {
            if !self.ignores_requests {
                self.events.push_back(Event::Asked(signal));
            }
        }
        Ok(self.events.iter().any(|e| matches!(e, Event::Asked(_))))
    }

    fn on_readable(
        &mut self,
        role: Role,
        table: &Table,
        console: &mut Console,
    ) -> anyhow::Result<()> {
        let Some(tool) = &mut self.tools[role as usize] else {
            return Ok(());
        };
        tool.input.fill()?;
        loop {
            match tool.input.next_row() {
                Next::Row(row) => {
                    // A row of no instance of this command is ignored.
                    if let Some(at) = table.find(&row) {
                        tool.answered(at, &row);
                        failpoint::at("row-heard");
                        self.events.push_back(Event::Row(role, at, *row));
                    }
                }
                Next::Bad(bad) => {
                    console.error(&format!("{}: {bad}", tool.name()));
                    self.sound = false;
                }
                Next::Wait => return Ok(()),
                Next::End => break,
            }
        }
        self.on_end(role, table, console)
    }

    fn on_end(&mut self, role: Role, table: &Table, console: &mut Console) -> anyhow::Result<()> {
        let Some(tool) = self.tools[role as usize].take() else {
            return Ok(());
        };
        tool.input.unwatch(&self.epoll);
        console.clear_progress();
        // A terminal that goes asks all of its processes to end, and the tool did: that is no failure
        // of its own.
        if !self.is_asked()? && !self.halted {
            let name = tool.name();
            let result = tool.tool.map_or(Ok(()), Tool::finish);
            let no_result = |at| {
                let who = diagnostics::name(&table[at]);
                format!("{who}: {name} ended without reporting a result")
            };
            let awaited = tool.awaited.into_keys();
            let (at, lines): (Vec<_>, Vec<_>) = awaited.map(|at| (at, no_result(at))).unzip();
            for line in result.err().into_iter().chain(lines) {
                console.error(&line);
                self.sound = false;
            }
            self.events.extend(at.into_iter().map(Event::NoResult));
        }
        self.events.push_back(Event::End(role));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::sys::signal::{Signal, raise};
    use swift_records::state::State;

    use super::*;
    use crate::run::Run;

    /// Fails when the row is lost: the server that it reports would be neither tracked nor stopped.
    #[test]
    fn a_row_that_comes_with_a_request_to_end_is_reported() {
        let options = Options::default();
        let catalogue = Catalogue::load(Path::new("/nonexistent")).unwrap();
        let selection = catalogue.select(["proxy"]);
        let row = Row {
            config: Some("/etc/swift/proxy-server.conf".into()),
            ..Row::new("proxy-server", State::Stopped)
        };
        let table = Table::gather(&catalogue, &selection, vec![row.clone()]);
        let at = table.find(&row).unwrap();
        let mut run = Run::new(&options, &catalogue, false, table, Console::new(false)).unwrap();
        let (input, end) = fd::pipe().unwrap();
        let actors = &mut run.actors;
        actors
            .enter(Role::Spawn, None, Channel::Closed, input, true)
            .unwrap();
        actors.send(Role::Spawn, at, &row).unwrap();
        let mut line = Vec::new();
        let started = row.with_state(State::Started);
        started.write(&mut line);
        std::fs::File::from(end).write_all(&line).unwrap();
        // To this thread only, which has it blocked.
        raise(Signal::SIGTERM).unwrap();

        assert!(run.has_event().unwrap());
        assert!(matches!(run.next_event().unwrap(), Some(Event::Asked(_))));
        let rows = run.halt_spawn().unwrap();
        assert!(matches!(&rows[..], [(Role::Spawn, found, row)]
            if *found == at && *row == started));
    }
}
