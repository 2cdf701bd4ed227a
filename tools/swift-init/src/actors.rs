//! The tools that act, as processes. This program stands between them, since people are told of each
//! step when it is done.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_server::rundir::RunDir;
use swift_server::stream::Input;
use swift_sys::epoll::Epoll;
use swift_sys::signal::Signal;
use swift_sys::signal_fd::SignalFd;
use swift_sys::{failpoint, fd, handover};

use crate::options::Options;
use crate::plan::{self, ToolCommand};
use crate::reaper::REQUESTS;
use crate::table::RowIndex;
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

/// The roles, by their tokens.
pub const ROLES: [Role; 3] = [Role::Signal, Role::Reload, Role::Spawn];

/// The token of signals to this process.
pub const SIGNALS: u64 = 3;

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
    /// Requests to end this process.
    pub signals: SignalFd,
    /// Those that run, by role.
    pub tools: [Option<ToolProcess>; 3],
    /// The events that have come and were not taken.
    pub events: VecDeque<Event>,
    /// True when a tool was asked to begin nothing more, and may have ended because of it.
    pub halted: bool,
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
        let site = handover::memfd(self.catalogue.site.as_bytes())?;
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
            return self.enter(
                Role::Spawn,
                None,
                Channel::Socket(socket.into()),
                input,
                true,
            );
        }
        self.raise_limits();
        let mut command = plan::spawn(self.options);
        command.arg("--keep-limits");
        if !self.options.foreground {
            return self.start(Role::Spawn, command, !self.options.no_wait, &[]);
        }
        // It needs its own three for rows and messages.
        for handed_over in ["--input-fd=3", "--output-fd=4", "--error-fd=5"] {
            command.arg(handed_over);
        }
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

    /// Takes in a tool that runs: the ways of rows to it and from it.
    pub fn enter(
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
        if self.unit().is_some() {
            // Servers that another process starts inherit nothing of this one.
            return Vec::new();
        }
        self.raise_limits();
        self.limit_warnings.replace(Vec::new()).unwrap_or_default()
    }

    /// Announces to the main process of the unit that an instance is about to be ended in order to be
    /// started again. swift-spawn itself need not know.
    pub fn announce_restart(&self, row: &Row) {
        if let Some(unit) = self.unit() {
            unit.to.send(row);
        }
    }

    /// The main process of the unit, when it takes the part of swift-spawn.
    fn unit(&self) -> Option<&ToolProcess> {
        let spawn = self.tools[Role::Spawn as usize].as_ref();
        spawn.filter(|tool| tool.tool.is_none())
    }

    /// Sends a row to a tool, which is started when it does not run yet. `begin_only` says that the tool
    /// begins this row and does not bring it to an end.
    pub fn send(
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
        failpoint::at("row-submitted");
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

    /// Awaits no more results: they are known from elsewhere.
    pub fn forget_awaited(&mut self) {
        let tools = self.tools.iter_mut().flatten();
        tools.for_each(|tool| tool.awaited.clear());
    }

    /// True when every tool has ended.
    pub fn have_ended(&self) -> bool {
        self.tools.iter().all(Option::is_none)
    }
}
