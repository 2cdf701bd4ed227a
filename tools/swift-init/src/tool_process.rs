//! One tool that acts, as a process between two streams of rows. The main process of the unit that this
//! one belongs to can take the part of swift-spawn.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::mpsc;

use anyhow::Context as _;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::process::Pid;
use swift_server::stream::Input;
use swift_sys::socket;

use crate::table::RowIndex;
use crate::tool::Tool;

/// The most bytes that are written to a tool at a time: as much as a pipe holds.
const PIPE_MAX: usize = 1 << 16;

/// The stack of the thread that writes to a tool, in bytes: it calls little, and must be available
/// where memory is short (RLIMIT_AS).
const WRITER_STACK: usize = 1 << 16;

/// A tool that acts, and what is awaited of it.
pub struct ToolProcess {
    /// Its process; none for the main process of the unit.
    pub tool: Option<Tool>,
    /// The way of rows to it.
    pub to: Channel,
    /// The way of rows from it.
    pub input: Input,
    /// True when it brings each row to an end, and not only begins it.
    pub waits: bool,
    /// The rows without a final result.
    pub awaited: BTreeMap<RowIndex, Awaited>,
}

/// The way of rows to a tool.
pub enum Channel {
    /// Through a thread, so that a tool which is busy never keeps this process from reading its rows.
    Thread(mpsc::Sender<Box<[u8]>>),
    /// At once: what is sent has arrived before anything else is done.
    Socket(File),
    /// No more rows come.
    Closed,
}

/// An instance without a final result.
pub struct Awaited {
    /// Its process, where that is known.
    pub pid: Option<Pid>,
    /// True when the tool only begins this one: then that it has begun is the final result.
    pub begin_only: bool,
    /// True when the tool has begun: sent the signal, or started the process.
    pub has_begun: bool,
}

impl Channel {
    /// A thread that writes to a pipe.
    pub fn thread(write: OwnedFd, name: &str) -> anyhow::Result<Channel> {
        let (to, rows) = mpsc::channel::<Box<[u8]>>();
        let thread = std::thread::Builder::new().stack_size(WRITER_STACK);
        let writes = thread.spawn(move || {
            let mut pipe = File::from(write);
            // The end of a tool is noticed by its reader.
            while let Ok(row) = rows.recv() {
                let mut bytes = row.into_vec();
                // All that waits goes in one write, so that the tool is not woken for each row.
                while bytes.len() < PIPE_MAX
                    && let Ok(more) = rows.try_recv()
                {
                    bytes.extend(more);
                }
                if pipe.write_all(&bytes).is_err() {
                    break;
                }
            }
        });
        writes.with_context(|| format!("cannot start a thread for {name}"))?;
        Ok(Channel::Thread(to))
    }

    /// Sends a row. The end of a tool is noticed by its reader.
    pub fn send(&self, row: &Row) {
        let mut line = Vec::new();
        row.write(&mut line);
        match self {
            Channel::Thread(to) => drop(to.send(line.into_boxed_slice())),
            Channel::Socket(socket) => drop((&*socket).write_all(&line)),
            Channel::Closed => {}
        }
    }

    /// Sends no more.
    pub fn close(&mut self) {
        if let Channel::Socket(socket) = self {
            // Its other end is gone, which is as good.
            let _ = socket::end_sending(socket);
        }
        *self = Channel::Closed;
    }
}

impl ToolProcess {
    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        match &self.tool {
            Some(tool) => tool.name,
            None => "the main process of this unit",
        }
    }

    /// Asks it to begin nothing more.
    pub fn halt(&mut self) -> io::Result<()> {
        match &self.tool {
            Some(tool) => tool.halt(),
            None => {
                self.to.close();
                Ok(())
            }
        }
    }

    /// True when it has begun, or ended, all that it was sent.
    pub fn has_begun(&self) -> bool {
        self.awaited.values().all(|one| one.has_begun)
    }

    /// Takes note of a row that it wrote, which may be the final result.
    pub fn answered(&mut self, at: RowIndex, row: &Row) {
        let Some(awaited) = self.awaited.get_mut(&at) else {
            return;
        };
        let has_begun = matches!(row.state, State::Signalled | State::Started);
        if has_begun && self.waits && !awaited.begin_only {
            awaited.pid = row.pid;
            awaited.has_begun = true;
        } else {
            self.awaited.remove(&at);
        }
    }
}
