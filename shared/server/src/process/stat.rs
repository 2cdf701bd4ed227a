//! Files of /proc/PID, and the first of them: proc_pid_stat(5).

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use swift_sys::clock;
use swift_sys::fd;
use swift_sys::pid::Pid;
use swift_sys::spawn::PRE_EXEC;

/// How often a process is looked at that executes something meanwhile.
pub(super) const LOOKS: usize = 16;
/// The process exits: `PF_EXITING` in include/linux/sched.h of Linux.
const PF_EXITING: u64 = 0x4;
/// A kernel thread: `PF_KTHREAD` there.
pub(super) const PF_KTHREAD: u64 = 0x0020_0000;

/// The fields of /proc/PID/stat that are used (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 2: true when its name is the one of a child before its exec.
    pub pre_exec: bool,
    /// Field 3: the state's letter.
    pub state: u8,
    /// Field 4: the parent's pid.
    pub parent: i32,
    /// Field 5: the process group.
    pub group: i32,
    /// Field 6: the session.
    pub session: i32,
    /// Field 9: the kernel's flags.
    pub flags: u64,
    /// Fields 14 and 15: the processor time that it has had, in clock ticks.
    pub used: u64,
    /// Field 22: the start, in clock ticks since boot.
    pub start: u64,
    /// Field 26: where its program's code begins. 0 without memory of its own, and inside exec until
    /// arguments and environment are in place (`load_elf_binary` in fs/binfmt_elf.c of Linux).
    pub code: u64,
    /// Field 28: where its stack begins. A child has it from its parent, and an
    /// exec changes it where addresses are randomised. None for a reader who may
    /// not trace the process (PTRACE_MODE_READ in ptrace(2)), who is shown 0.
    pub stack: Option<u64>,
}

impl Stat {
    /// Reads the line. The second field is the program's name in parentheses,
    /// which may itself hold blanks and parentheses: the last one ends it.
    pub fn parse(line: &[u8]) -> Option<Stat> {
        let begin = line.iter().position(|b| *b == b'(')? + 1;
        let end = line.iter().rposition(|b| *b == b')')?;
        let rest = line.get(end + 1..)?.strip_prefix(b" ")?;
        let rest = std::str::from_utf8(rest).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().take(26).collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse().ok();
        let ticks = |at: usize| field(at)?.parse::<u64>().ok();
        Some(Stat {
            pre_exec: line.get(begin..end)? == PRE_EXEC.to_bytes(),
            state: *fields.first()?.as_bytes().first()?,
            parent: number(4)?,
            group: number(5)?,
            session: number(6)?,
            flags: field(9)?.parse().ok()?,
            used: ticks(14)?.saturating_add(ticks(15)?),
            start: ticks(22)?,
            code: ticks(26).unwrap_or(0),
            stack: ticks(28).filter(|address| *address != 0),
        })
    }

    /// True when it is a zombie or dead.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// The time since its start. An exec does not begin this anew.
    pub fn age(&self) -> io::Result<Duration> {
        clock::since(self.start)
    }

    /// True when it has ended or is ending: exit closes a process's files before
    /// its pidfd says that it is gone.
    pub fn is_ending(&self) -> bool {
        self.has_ended() || self.flags & PF_EXITING != 0
    }
}

/// /proc/PID/stat; none when no process has that pid.
pub fn stat(pid: Pid) -> io::Result<Option<Stat>> {
    parse_proc(pid, "stat", Stat::parse)
}

/// The largest part of a file of /proc/PID that is read, in bytes. Any process can
/// make its own command line and environment as long as its address space
/// (`PR_SET_MM_MAP` of prctl(2)), and reading them to the end would take all
/// memory. A single argument of execve(2) cannot be longer than this
/// (`MAX_ARG_STRLEN` in include/uapi/linux/binfmts.h of Linux).
pub const PROC_MAX: usize = 128 * 1024;

/// Reads a file of /proc/PID, at most [`PROC_MAX`] of it, in few system calls:
/// most fit into the first read, and one that fills less than it was given was
/// the last.
pub(super) fn read_proc(pid: Pid, file: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(4096);
    let read = fs::File::open(format!("/proc/{pid}/{file}")).and_then(|file| {
        loop {
            let room = bytes.capacity() - bytes.len();
            if fd::read_behind(&file, &mut bytes)? < room || bytes.len() >= PROC_MAX {
                bytes.truncate(PROC_MAX);
                return Ok(());
            }
            bytes.reserve(bytes.len());
        }
    });
    match read {
        Ok(()) => Ok(Some(bytes)),
        // ESRCH is what a read says when the process went away after the open.
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// The pids of all processes.
pub fn pids() -> io::Result<impl Iterator<Item = io::Result<Pid>>> {
    Ok(fs::read_dir("/proc")?.filter_map(numbered))
}

/// True when a process has the file open to which a link in /proc/PID/fd leads, such as `pipe:[4711]`.
pub fn has_open(pid: Pid, file: &str) -> io::Result<bool> {
    let mut fds = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
    Ok(fds.any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == file)))
}

/// The threads of a process, by their numbers; no more when it has ended.
pub(super) fn threads(pid: Pid) -> io::Result<impl Iterator<Item = io::Result<Pid>>> {
    // Reading the directory says ENOENT as well, of a process that ends meanwhile.
    let is_gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    let entries = match fs::read_dir(format!("/proc/{pid}/task")) {
        Err(e) if is_gone(&e) => None,
        entries => Some(entries?),
    };
    let entries = entries.into_iter().flatten();
    let entries = entries.take_while(move |entry| !entry.as_ref().is_err_and(is_gone));
    Ok(entries.filter_map(numbered))
}

/// The number that an entry has for a name.
fn numbered(entry: io::Result<fs::DirEntry>) -> Option<io::Result<Pid>> {
    let number = |entry: fs::DirEntry| Pid::parse(entry.file_name().as_bytes());
    entry.map(number).transpose()
}

/// The environment that a process was executed with, as NAME=VALUE with a NUL
/// after each, cut after [`PROC_MAX`]; none when no process has that pid.
/// proc_pid_environ(5).
///
/// Inside exec it is empty too. So an empty one counts when the same program, with its environment in
/// place, was there before and after it was read.
///
/// # Errors
/// Also, of the kind `WouldBlock`, when the process executes something each time.
pub fn environment(pid: Pid) -> io::Result<Option<Vec<u8>>> {
    let mut before = None;
    for _ in 0..LOOKS {
        match read_proc(pid, "environ")? {
            Some(environment) if environment.is_empty() => {}
            found => return Ok(found),
        }
        let Some(stat) = stat(pid)? else {
            return Ok(None);
        };
        let image = (stat.code, stat.stack);
        let has_none = stat.is_ending() || stat.flags & PF_KTHREAD != 0;
        if has_none || (stat.code != 0 && before == Some(image)) {
            return Ok(Some(Vec::new()));
        }
        before = Some(image);
    }
    // It executes something each time, as only one that wants to does.
    Err(io::ErrorKind::WouldBlock.into())
}

/// Reads and parses a file of /proc/PID; none when no process has that pid. One that is cut is
/// not parsed: it may end in the middle of a number.
pub(super) fn parse_proc<T>(
    pid: Pid,
    file: &str,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let whole = |text: Vec<u8>| (text.len() < PROC_MAX).then_some(text);
    let parsed = read_proc(pid, file)?.map(|text| parse(&whole(text)?));
    match parsed {
        Some(None) => Err(io::Error::other(format!(
            "cannot understand /proc/{pid}/{file}"
        ))),
        parsed => Ok(parsed.flatten()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_may_be_empty() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env_clear()
            .spawn()
            .unwrap();
        let pid = Pid::new(child.id() as i32).unwrap();
        // spawn returns when exec has begun; it is over when this is no longer an error.
        let empty = loop {
            match environment(pid) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                found => break found.unwrap(),
            }
        };
        child.kill().unwrap();
        assert_eq!(empty, Some(Vec::new()));
        child.wait().unwrap();
        assert_eq!(environment(pid).unwrap(), None);
    }

    #[test]
    fn a_programs_name_may_hold_anything() {
        let text = b"42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (
                stat.state,
                stat.parent,
                stat.group,
                stat.session,
                stat.start
            ),
            (b'S', 7, 42, 42, 987_654)
        );
        assert_eq!((stat.flags, stat.used, stat.stack), (4_194_560, 11, None));
        assert!(!stat.is_ending() && !stat.pre_exec);
        let text = String::from_utf8_lossy(text).replace("(a) b (c)", "(swift-starting)");
        assert!(Stat::parse(text.as_bytes()).unwrap().pre_exec);
        for bad in [
            &b""[..],
            b")",
            b")(",
            b"1 (a)",
            b"1 (a) ",
            b"1 (a) S 1 1",
            b"1 (a) S x 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            b"1 (a) S 4294967297 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            b"1 (a)1 S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        ] {
            assert_eq!(Stat::parse(bad), None);
        }
    }
}
