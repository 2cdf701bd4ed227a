//! One tool that acts, as the other end of two streams of rows: a process, or the main process of the
//! unit that this one belongs to, which takes the part of swift-spawn.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;

use anyhow::Context as _;
use swift_records::row::{Key, Row};
use swift_records::state::State;
use swift_server::process::Pid;
use swift_server::stream::Input;
use swift_sys::{fd, socket};

use crate::stage::Stage;

/// So many bytes are written to a tool at a time, as much as a pipe holds.
const MOST: usize = 1 << 16;

/// The stack of the thread that writes to a tool, in bytes: it calls little, and
/// is to be had where memory is short (RLIMIT_AS).
const WRITER_STACK: usize = 1 << 16;

/// A tool that acts, and what is awaited of it.
pub struct Actor {
    /// Its process; none for the main process of the unit.
    pub stage: Option<Stage>,
    /// Where its rows go.
    pub to: Channel,
    /// Where its rows come from.
    pub input: Input,
    /// True when it brings each row to an end, and not only begins it.
    pub waits: bool,
    /// The rows of which it has not said the last word.
    pub awaited: HashMap<Key, Awaited>,
    /// How many rows it was given.
    pub given: u64,
}

/// The way of rows to a tool.
pub enum Channel {
    /// Through a thread, so that a tool which is busy never keeps this process from reading what it
    /// has to say.
    Thread(mpsc::Sender<Box<[u8]>>),
    /// At once: what is sent has arrived before anything else is done.
    Socket(OwnedFd),
    /// No more rows come.
    Closed,
}

/// An instance of which a tool has not yet said the last word.
pub struct Awaited {
    /// Which of those that the tool was given.
    pub number: u64,
    /// Its process, where that is known.
    pub pid: Option<Pid>,
    /// Whether the tool only begins this one, whatever it does with others.
    pub begun_only: bool,
    /// Whether the tool has said that it has begun: sent the signal, or started
    /// the process.
    pub begun: bool,
}

impl Channel {
    /// A thread that writes to a pipe.
    pub fn thread(write: OwnedFd, name: &str) -> anyhow::Result<Channel> {
        let (to, rows) = mpsc::channel::<Box<[u8]>>();
        let thread = std::thread::Builder::new().stack_size(WRITER_STACK);
        let writes = thread.spawn(move || {
            let mut pipe = File::from(write);
            // When the tool is gone, its end says so; nothing is to be done here.
            while let Ok(row) = rows.recv() {
                let mut bytes = row.into_vec();
                // All that waits goes in one write, so that the tool need not
                // be woken for each row.
                while let Some(more) = (bytes.len() < MOST).then(|| rows.try_recv().ok()).flatten()
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

    /// Sends a row. A tool that is gone is noticed by its end.
    pub fn send(&self, row: &Row) {
        let mut line = Vec::new();
        row.write(&mut line);
        match self {
            Channel::Thread(to) => drop(to.send(line.into_boxed_slice())),
            Channel::Socket(socket) => drop(write_all(socket, &line)),
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

fn write_all(socket: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[fd::write(&socket.as_fd(), bytes)?..];
    }
    Ok(())
}

impl Actor {
    /// What is awaited, in the order in which the tool was given it.
    pub fn in_order(&self) -> impl Iterator<Item = (&Key, &Awaited)> {
        let mut all: Vec<_> = self.awaited.iter().collect();
        all.sort_by_key(|(_, one)| one.number);
        all.into_iter()
    }

    /// How it is called in messages.
    pub fn name(&self) -> &'static str {
        match &self.stage {
            Some(stage) => stage.name,
            None => "the main process of this unit",
        }
    }

    /// Has it begin nothing more.
    pub fn halt(&mut self) -> io::Result<()> {
        match &self.stage {
            Some(stage) => stage.halt(),
            None => {
                self.to.close();
                Ok(())
            }
        }
    }

    /// Takes a row off the list of those that are awaited, when it is the last
    /// word on it.
    pub fn answered(&mut self, row: &Row) {
        let Some(awaited) = self.awaited.get_mut(&row.key()) else {
            return;
        };
        let begun = matches!(row.state, State::Signalled | State::Started);
        if begun && self.waits && !awaited.begun_only {
            awaited.pid = row.pid;
            awaited.begun = true;
        } else {
            self.awaited.remove(&row.key());
        }
    }
}
