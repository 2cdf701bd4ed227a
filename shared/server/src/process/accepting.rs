//! Proof that a process waits for connections on a socket it was handed: what its threads are blocked
//! in, as /proc shows it.
//!
//! No event tells that, and a probe connection would go to any process that shares the socket. The
//! kernel shows of a blocked thread the system call with its arguments (proc_pid_syscall(5)). Blocked in
//! accept(2), in select(2) or poll(2) with the socket among those awaited, or in epoll_wait(2) on an
//! instance in which the socket is registered level-triggered, it is woken by the next connection, and
//! is woken again as long as it does not accept. An edge-triggered registration is no proof: Go and tokio
//! register a socket when they take it, long before they may accept. io_uring shows nothing.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use nix::sys::stat::fstat;
use nix::unistd::{SysconfVar, sysconf};
use swift_sys::pid::Pid;

use super::children::child_numbers;

/// The most threads that one look examines, in all processes of a worker together: some 20 ms.
const THREADS_MAX: usize = 1024;
/// The most descriptors of one call that are examined.
const FDS_MAX: usize = 4096;
/// The most that is read of the list of one epoll instance: some 10,000 descriptors.
const EPOLL_TEXT_MAX: u64 = 1 << 20;

/// A listening socket, as /proc shows it of any process that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    inode: u64,
    /// In the kernel's own encoding.
    device: u64,
}

impl Socket {
    /// The socket behind a descriptor of this process.
    pub fn of(fd: &impl AsFd) -> io::Result<Socket> {
        let status = fstat(fd)?;
        let device = status.st_dev;
        Ok(Socket {
            inode: status.st_ino,
            device: u64::from(libc::major(device)) << 20 | u64::from(libc::minor(device)),
        })
    }
}

/// The result of a look at a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Each socket is awaited by one of its threads or more.
    Accepting,
    /// The socket with this index is awaited edge-triggered alone; each other one is awaited, in this
    /// way or level-triggered.
    EdgeTriggered(usize),
    /// The socket with this index is not seen to be awaited.
    NotSeen(usize, Cause),
}

/// The reason why nothing was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// No thread waits for it.
    NotAwaited,
    /// The process has more threads than are examined.
    TooManyThreads,
    /// A thread waits in a way that does not show for what.
    Opaque,
    /// /proc does not show what its threads are blocked in.
    Hidden,
}

impl Cause {
    /// The reason in words, of a worker.
    pub fn text(self) -> &'static str {
        match self {
            Cause::NotAwaited => "no thread of it waits for connections",
            Cause::TooManyThreads => "it has more threads than are examined",
            Cause::Opaque => "it waits by io_uring or in 32 bits, which does not show for what",
            Cause::Hidden => {
                "/proc does not show what it waits for (CAP_SYS_PTRACE may be missing)"
            }
        }
    }
}

/// Looks whether a process and its descendants wait for connections on all of these sockets, at this
/// moment. It examines 1024 threads at most, and never waits for one of them.
pub fn look(worker: Pid, sockets: &[Socket]) -> Look {
    let mut search = Search {
        sockets,
        awaited: vec![Awaited::Not; sockets.len()],
        cause: Cause::NotAwaited,
        threads: 0,
        is_shown: false,
    };
    search.tree(worker);
    let least = search.awaited.iter().enumerate().min_by_key(|one| *one.1);
    match least {
        None | Some((_, Awaited::LevelTriggered)) => Look::Accepting,
        Some((at, Awaited::EdgeTriggered)) => Look::EdgeTriggered(at),
        Some((at, Awaited::Not)) if !search.is_shown => Look::NotSeen(at, Cause::Hidden),
        Some((at, Awaited::Not)) => Look::NotSeen(at, search.cause),
    }
}

/// How a socket is awaited; a call that names it counts as level-triggered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Awaited {
    Not,
    EdgeTriggered,
    LevelTriggered,
}

struct Search<'a> {
    sockets: &'a [Socket],
    awaited: Vec<Awaited>,
    cause: Cause,
    /// How many threads were examined.
    threads: usize,
    /// True when /proc has shown one of them.
    is_shown: bool,
}

impl Search<'_> {
    fn tree(&mut self, root: Pid) {
        let mut processes = vec![root];
        while let Some(pid) = processes.pop() {
            for thread in threads(pid) {
                if self
                    .awaited
                    .iter()
                    .all(|one| *one == Awaited::LevelTriggered)
                {
                    return;
                }
                if self.threads == THREADS_MAX {
                    return self.note(Cause::TooManyThreads);
                }
                self.threads += 1;
                match thread.examine(self) {
                    Ok(()) => self.is_shown = true,
                    Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                        self.note(Cause::Hidden);
                    }
                    // It has ended meanwhile.
                    Err(_) => {}
                }
            }
            processes.extend(child_numbers(pid).unwrap_or_default());
        }
    }

    /// Keeps the cause that tells most.
    fn note(&mut self, cause: Cause) {
        self.cause = self.cause.max(cause);
    }
}

/// A thread: its directory in /proc.
struct Thread(PathBuf);

fn threads(pid: Pid) -> impl Iterator<Item = Thread> {
    let threads = super::stat::threads(pid).into_iter().flatten().flatten();
    threads.map(move |thread| Thread(format!("/proc/{pid}/task/{thread}").into()))
}

impl Thread {
    /// Marks the sockets that this thread waits for.
    fn examine(&self, search: &mut Search) -> io::Result<()> {
        let before = fs::read_to_string(self.0.join("syscall"))?;
        let Some(call) = SystemCall::parse(&before) else {
            return Ok(());
        };
        let found = match call.waits_for() {
            Wait::Nothing => return Ok(()),
            Wait::Opaque => {
                search.note(Cause::Opaque);
                return Ok(());
            }
            Wait::Accept(fd) => self.sockets_of([fd], search.sockets),
            Wait::Poll(address, count) => self.polled(address, count, search.sockets)?,
            Wait::Select(address, count) => self.selected(address, count, search.sockets)?,
            Wait::Epoll(fd) => {
                let text = self.epoll_text(fd)?;
                let sockets = search.sockets.iter();
                sockets.map(|one| registered(&text, *one)).collect()
            }
        };
        // What was read belongs to the call only if the thread has not left it meanwhile.
        let is_found = found.iter().any(|one| *one != Awaited::Not);
        if is_found && fs::read_to_string(self.0.join("syscall"))? == before {
            for (awaited, found) in search.awaited.iter_mut().zip(found) {
                *awaited = found.max(*awaited);
            }
        }
        Ok(())
    }

    /// Tells which of the sockets are behind these descriptors of the thread.
    fn sockets_of(&self, fds: impl IntoIterator<Item = u64>, sockets: &[Socket]) -> Vec<Awaited> {
        let mut found = vec![Awaited::Not; sockets.len()];
        for fd in fds {
            // The link alone is read: to follow it may block on a file system that hangs.
            let Ok(target) = fs::read_link(self.0.join(format!("fd/{fd}"))) else {
                continue;
            };
            let is =
                |one: &Socket| target.as_os_str() == format!("socket:[{}]", one.inode).as_str();
            if let Some(at) = sockets.iter().position(is) {
                found[at] = Awaited::LevelTriggered;
            }
        }
        found
    }

    fn polled(&self, address: u64, count: usize, sockets: &[Socket]) -> io::Result<Vec<Awaited>> {
        let memory = self.memory(address, count * 8)?;
        let awaited = memory.chunks_exact(8).filter_map(|pollfd| {
            let (fd, events) = pollfd.split_at(4);
            let fd = i32::from_ne_bytes(fd.try_into().ok()?);
            let events = i16::from_ne_bytes([events[0], events[1]]);
            let for_input = events & (libc::POLLIN | libc::POLLRDNORM) != 0;
            u64::try_from(fd).ok().filter(|_| for_input)
        });
        Ok(self.sockets_of(awaited, sockets))
    }

    fn selected(&self, address: u64, count: usize, sockets: &[Socket]) -> io::Result<Vec<Awaited>> {
        const WORD: usize = size_of::<usize>();
        let memory = self.memory(address, count.div_ceil(8 * WORD) * WORD)?;
        let words = memory.chunks_exact(WORD).map(|word| {
            let bytes = word.try_into().expect("a chunk is a word");
            usize::from_ne_bytes(bytes)
        });
        let words: Vec<usize> = words.collect();
        let is_set = |fd: &usize| words[fd / (8 * WORD)] >> (fd % (8 * WORD)) & 1 == 1;
        let awaited = (0..count).filter(is_set).map(|fd| fd as u64);
        Ok(self.sockets_of(awaited, sockets))
    }

    /// Reads memory of the thread, whose pages are in memory or on swap: a page of a file may lie on a
    /// file system that hangs.
    fn memory(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        const PRESENT_OR_SWAPPED: u64 = 3 << 62;
        let page = sysconf(SysconfVar::PAGE_SIZE)?.ok_or(io::ErrorKind::Unsupported)? as u64;
        // The process chose both numbers.
        let end = address.checked_add(length as u64);
        let last = end
            .and_then(|end| end.checked_sub(1))
            .ok_or(io::ErrorKind::InvalidInput)?;
        let (first, last) = (address / page, last.max(address) / page);
        let mut entries = vec![0; (last - first + 1) as usize * 8];
        File::open(self.0.join("pagemap"))?.read_exact_at(&mut entries, first * 8)?;
        let in_memory = entries.chunks_exact(8).all(|entry| {
            let entry = entry.try_into().map(u64::from_ne_bytes);
            entry.is_ok_and(|entry| entry & PRESENT_OR_SWAPPED != 0)
        });
        if !in_memory {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut bytes = vec![0; length];
        File::open(self.0.join("mem"))?.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    fn epoll_text(&self, fd: u64) -> io::Result<String> {
        let mut text = String::new();
        let file = File::open(self.0.join(format!("fdinfo/{fd}")))?;
        file.take(EPOLL_TEXT_MAX).read_to_string(&mut text)?;
        Ok(text)
    }
}

/// A system call that a thread is blocked in.
#[derive(Debug, PartialEq)]
struct SystemCall {
    number: libc::c_long,
    args: [u64; 6],
    stack: u64,
}

/// The events that a call waits for.
#[derive(Debug, PartialEq)]
enum Wait {
    Nothing,
    Opaque,
    Accept(u64),
    Epoll(u64),
    Poll(u64, usize),
    Select(u64, usize),
}

impl SystemCall {
    /// Reads the number in decimal, and six arguments, the stack pointer and the program counter in
    /// hexadecimal; none of a thread that runs or is blocked elsewhere.
    fn parse(text: &str) -> Option<SystemCall> {
        let mut words = text.split_whitespace();
        let number = words.next()?.parse().ok()?;
        let mut hex = words.map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let mut args = [0; 6];
        for arg in &mut args {
            *arg = hex.next()??;
        }
        let stack = hex.next()??;
        Some(SystemCall {
            number,
            args,
            stack,
        })
    }

    fn waits_for(&self) -> Wait {
        let [first, second, ..] = self.args;
        // A program of 32 bits has other numbers, and all of its memory below 4 GiB.
        if cfg!(target_pointer_width = "64") && self.stack <= u32::MAX.into() {
            return Wait::Opaque;
        }
        // The kernel takes a C int of a wider register.
        let fd = first & u64::from(u32::MAX);
        let is_select = |count: u64| second != 0 && (1..=FDS_MAX as u64).contains(&count);
        match self.number {
            libc::SYS_accept | libc::SYS_accept4 => Wait::Accept(fd),
            libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => Wait::Epoll(fd),
            libc::SYS_ppoll if (1..=FDS_MAX as u64).contains(&second) => {
                Wait::Poll(first, second as usize)
            }
            libc::SYS_pselect6 if is_select(fd) => Wait::Select(second, fd as usize),
            libc::SYS_io_uring_enter => Wait::Opaque,
            // Calls of older architectures only.
            #[cfg(target_arch = "x86_64")]
            libc::SYS_epoll_wait => Wait::Epoll(fd),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll if (1..=FDS_MAX as u64).contains(&second) => {
                Wait::Poll(first, second as usize)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_select if is_select(fd) => Wait::Select(second, fd as usize),
            _ => Wait::Nothing,
        }
    }
}

/// Looks for a socket in an epoll instance's text (proc_pid_fdinfo(5)):
/// `tfd: 7 events: 19 data: 7 pos:0 ino:29057b4 sdev:9`, all but the first in hexadecimal.
fn registered(text: &str, socket: Socket) -> Awaited {
    let mut best = Awaited::Not;
    for line in text.lines().filter(|line| line.starts_with("tfd:")) {
        let value = |name: &str| {
            let rest = line.split_once(name)?.1.trim_start();
            let end = rest.find(' ').unwrap_or(rest.len());
            u64::from_str_radix(&rest[..end], 16).ok()
        };
        if value(" ino:") != Some(socket.inode) || value(" sdev:") != Some(socket.device) {
            continue;
        }
        let events = value(" events:").unwrap_or(0) as u32 as i32;
        if events & (libc::EPOLLIN | libc::EPOLLRDNORM) == 0 {
            continue;
        }
        if events & libc::EPOLLET == 0 {
            return Awaited::LevelTriggered;
        }
        best = Awaited::EdgeTriggered;
    }
    best
}

#[cfg(test)]
mod tests;
