//! Requests to the main process of a unit: a reload in the same unit has it start again what is
//! restarted, so that the new process is a child of swift-spawn there, as the old one was.
//!
//! They come through a socket in the run directory, to which only this process's user and root can
//! connect. Both sides speak in rows (swift-records(5)). The client sends `running` before it ends an
//! instance, and `stopped` when that has ended; the main process answers with the rows of its swift-spawn.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context as _;
use swift_records::row::Row;
use swift_server::process::Pid;
use swift_server::rundir::RunDir;
use swift_server::stream::Decoder;
use swift_sys::beneath::{self, Kind};
use swift_sys::epoll::Epoll;
use swift_sys::{fd, private_socket, socket};

/// The beginning of the socket's name; the pid of the main process follows. The dot keeps it apart from
/// servers' files.
const PREFIX: &str = ".swift-init.";

/// A connection, for as long as this process runs; its token, too.
pub type Id = u64;

/// The token of the socket; greater ones are connections.
const LISTENER: Id = 16;

/// The socket and its connections.
pub struct Requests {
    run_dir: RunDir,
    name: OsString,
    listener: OwnedFd,
    connections: Vec<Connection>,
    next: Id,
}

struct Connection {
    id: Id,
    socket: OwnedFd,
    decoder: Decoder,
    /// True when the client sends no more.
    ended: bool,
}

impl Requests {
    /// Listens in the run directory, and removes what killed main processes have left there.
    pub fn listen(run_dir: &Path, epoll: &Epoll) -> anyhow::Result<Requests> {
        let cannot = || format!("cannot listen in {}", run_dir.display());
        let run_dir = RunDir::create(run_dir).with_context(cannot)?;
        remove_stale(&run_dir).with_context(cannot)?;
        let name = socket_name(Pid::own());
        let listener = private_socket::listen_in(&run_dir, &name).with_context(cannot)?;
        epoll.add(&listener, LISTENER)?;
        Ok(Requests {
            run_dir,
            name,
            listener,
            connections: Vec::new(),
            next: LISTENER + 1,
        })
    }

    /// The rows that have come, with the connection that each came from. Never waits.
    pub fn take(&mut self, epoll: &Epoll) -> anyhow::Result<Vec<(Id, Row)>> {
        while let Some(socket) = socket::accept(&self.listener)? {
            epoll.add(&socket, self.next)?;
            self.connections.push(Connection {
                id: self.next,
                socket,
                decoder: Decoder::default(),
                ended: false,
            });
            self.next += 1;
        }
        let mut rows = Vec::new();
        for connection in &mut self.connections {
            connection.read(&mut rows);
            if connection.ended {
                // Its end would be reported as long as it is open.
                let _ = epoll.remove(&connection.socket);
            }
        }
        Ok(rows)
    }

    /// True as long as more may come from the client.
    pub fn is_open(&self, id: Id) -> bool {
        self.connections
            .iter()
            .any(|one| one.id == id && !one.ended)
    }

    /// Sends a row to a client. One that does not read is given up.
    pub fn answer(&mut self, id: Id, row: &Row) {
        let mut line = Vec::new();
        row.write(&mut line);
        // A row that is cut short is never obeyed, so the client sees that there is no answer.
        self.connections.retain(|one| {
            one.id != id || fd::write(&one.socket, &line).is_ok_and(|sent| sent == line.len())
        });
    }

    /// Closes the connections whose clients send no more and have every answer; `waits` tells which
    /// have not.
    pub fn close_answered(&mut self, waits: impl Fn(Id) -> bool) {
        self.connections.retain(|one| !one.ended || waits(one.id));
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let name = std::ffi::CString::new(self.name.as_encoded_bytes());
        // What stays is removed by the next main process.
        let _ = name.map(|name| beneath::unlink(&self.run_dir, &name));
    }
}

impl Connection {
    fn read(&mut self, rows: &mut Vec<(Id, Row)>) {
        while !self.ended {
            match self.decoder.fill(&self.socket) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.ended = true,
            }
            while let Some(row) = self.decoder.next_row() {
                match row {
                    Ok(row) => rows.push((self.id, row)),
                    Err(_) => self.ended = true,
                }
            }
        }
    }
}

fn socket_name(pid: Pid) -> OsString {
    format!("{PREFIX}{pid}").into()
}

/// Removes the sockets of processes that are gone, and one of an earlier process of this pid.
fn remove_stale(run_dir: &RunDir) -> io::Result<()> {
    let mut stale = Vec::new();
    beneath::list(beneath::open_dir(run_dir, Path::new("."))?, |name, kind| {
        let pid = name.to_bytes().strip_prefix(PREFIX.as_bytes());
        let pid = pid.filter(|_| kind == Kind::Other).and_then(Pid::parse);
        if pid.is_some_and(|pid| pid == Pid::own() || !runs(pid)) {
            stale.push(name.to_owned());
        }
    })?;
    stale
        .iter()
        .try_for_each(|name| beneath::unlink(run_dir, name))
}

fn runs(pid: Pid) -> bool {
    // In doubt it stays.
    !matches!(swift_sys::pidfd::open(pid), Ok(None))
}

/// A connection to the main process of the unit that executes this process, when that is a swift-init
/// that keeps servers. systemd gives the pid to the processes of ExecReload= and ExecStop= (MAINPID in
/// systemd.exec(5)).
pub fn connect(run_dir: &Path) -> anyhow::Result<Option<OwnedFd>> {
    let main = std::env::var_os("MAINPID").and_then(|pid| Pid::parse(pid.as_encoded_bytes()));
    let Some(main) = main else { return Ok(None) };
    let cannot = || format!("cannot reach the main process of this unit, {main}");
    let Some(dir) = RunDir::open(run_dir).with_context(cannot)? else {
        return Ok(None);
    };
    match private_socket::connect_in(&dir, &socket_name(main)) {
        Ok((socket, peer)) if peer == Some(main) => Ok(Some(socket)),
        Ok((_, peer)) => {
            let pid = peer.map_or(0, Pid::raw);
            anyhow::bail!("{}: {pid} listens in its place", cannot())
        }
        Err(e) if is_swift_init(main) => Err(e).with_context(cannot),
        Err(_) => Ok(None),
    }
}

/// True when a process is a swift-init, whose servers must not be restarted behind its back.
fn is_swift_init(pid: Pid) -> bool {
    let name = std::fs::read(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name == b"swift-init\n")
}
