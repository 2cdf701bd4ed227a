//! The managers that run here, and the workers that each says it has.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use swift_server::process::Pid;

use crate::status;

/// The time that a manager gets to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// A process that answers as a manager or as its standby.
pub struct Peer {
    /// The process.
    pub pid: Pid,
    /// The workers that it has; none when it does not answer.
    pub workers: Option<Vec<Pid>>,
}

/// The managers of this network namespace that run as one of these users, this process aside.
pub fn all(users: &[u32]) -> io::Result<Vec<Peer>> {
    let own = Pid::own();
    let table = fs::read("/proc/net/unix")?;
    let mut pids: Vec<Pid> = table.split(|b| *b == b'\n').filter_map(listens).collect();
    pids.sort();
    pids.dedup();
    let others = pids.into_iter().filter(|pid| *pid != own);
    Ok(others.filter_map(|pid| peer(pid, users)).collect())
}

/// The pid in the name of a manager's socket; zero bytes are shown as `@`.
fn listens(line: &[u8]) -> Option<Pid> {
    let name = line.rsplit(|b| *b == b' ').next()?;
    Pid::parse(name.strip_prefix(b"@swift-serve@")?)
}

fn peer(pid: Pid, users: &[u32]) -> Option<Peer> {
    let (socket, listener) = status::connect(pid).ok()?;
    if listener.pid != pid.raw() || !users.contains(&listener.user) {
        return None;
    }
    let mut socket = UnixStream::from(socket);
    let mut text = Vec::new();
    let answer = socket
        .set_read_timeout(Some(ANSWER))
        .and_then(|()| socket.read_to_end(&mut text));
    // One that ends before it answers manages nothing.
    let workers = match answer {
        Ok(_) => Some(workers(&text)),
        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Some(Vec::new()),
        Err(_) => None,
    };
    Some(Peer { pid, workers })
}

/// The pids of workers in the rows of a status.
fn workers(rows: &[u8]) -> Vec<Pid> {
    let lines = rows.split(|b| *b == b'\n');
    let columns = lines.map(|line| line.split(|b| *b == b'\t').collect::<Vec<_>>());
    let workers = columns.filter(|row| row.get(1) == Some(&&b"worker"[..]));
    workers.filter_map(|row| Pid::parse(row.get(2)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_and_workers_are_read_from_tables() {
        let line = b"0000000000000000: 00000002 00000000 00010000 0001 01 24861 @swift-serve@4711";
        assert_eq!(listens(line), Pid::new(4711));
        for other in ["@swift-serve@", "@swift-serve@1x", "/run/swift-serve@1", ""] {
            assert_eq!(listens(format!("0: 2 0 1 1 1 {other}").as_bytes()), None);
        }
        let rows =
            b"2\tmanager\t5\t1\tserving\t-\n2\tworker\t7\t1\tready\t-\n2\tlisten\t-\t-\t-\tx\n";
        assert_eq!(workers(rows), [Pid::new(7).unwrap()]);
    }
}
