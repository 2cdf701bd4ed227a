//! Process identity: a process is what a pidfd stands for, and it is a row's
//! server only when /proc, looked at after the pidfd was opened, says so.
//!
//! A number read from a file proves nothing: it may have passed to another
//! process. So the order is always the same: open a pidfd, look at /proc, act
//! through the pidfd. Had the number passed on between the first two, the pidfd
//! stands for the dead one, and acting through it reaches nobody.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::catalogue::Server;
use crate::faults;
use crate::instance::others;
use crate::signals::Signal;
use crate::sys::spawn::UNBORN;
use crate::sys::{fd, pidfd};

/// The name of the tool that starts servers. A child of it that stands between
/// clone and exec has its command line, and a name of its own: [`UNBORN`].
pub const STARTER: &str = "swift-spawn";

/// How often a process is looked at that executes something each time.
const LOOKS: usize = 16;

/// The process exits: `PF_EXITING` in include/linux/sched.h of Linux.
const PF_EXITING: u64 = 0x4;
/// A kernel thread: `PF_KTHREAD` there.
const PF_KTHREAD: u64 = 0x0020_0000;

/// A process's number: positive, so that it can be meant for no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(i32);

impl Pid {
    /// A number as the kernel gives it.
    pub fn new(number: i32) -> Option<Pid> {
        (number > 0).then_some(Pid(number))
    }

    /// A number as text: digits only, no sign, no blanks.
    pub fn parse(text: &[u8]) -> Option<Pid> {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(text)
            .ok()?
            .parse()
            .ok()
            .and_then(Pid::new)
    }

    /// The number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A process that cannot turn into another one.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    fd: OwnedFd,
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Process {
    /// Opens the process that has this number now; none when there is none.
    pub fn open(pid: Pid) -> io::Result<Option<Process>> {
        Ok(pidfd::open(pid)?.map(|fd| Process { pid, fd }))
    }

    /// A child that was just started.
    pub fn from_child(child: crate::sys::spawn::Child) -> Process {
        Process {
            pid: child.pid,
            fd: child.pidfd,
        }
    }

    /// A process that was handed over across exec with the descriptor that
    /// stands for it.
    pub fn adopt(pid: Pid, fd: OwnedFd) -> Process {
        Process { pid, fd }
    }

    /// Sends a signal to it; `false` when it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        gone(pidfd::send(&self.fd, signal))
    }

    /// Whether it may be signalled; `None` when it is gone.
    pub fn may_signal(&self) -> io::Result<Option<bool>> {
        match pidfd::probe(&self.fd) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(Some(false)),
            result => Ok(gone(result)?.then_some(true)),
        }
    }

    /// Whether it has ended. A zombie has.
    pub fn has_ended(&self) -> io::Result<bool> {
        crate::sys::fd::is_readable(&self.fd)
    }

    /// Kills the process group that it leads, or it alone when it leads none;
    /// `false` when it is gone already.
    pub fn kill_group(&self) -> io::Result<bool> {
        let leads = stat(self.pid)?.is_some_and(|stat| stat.group == self.pid.number());
        // Had the number passed on before the look, the pidfd says so now.
        if leads && !self.has_ended()? {
            faults::at("leads");
            match pidfd::send_group(&self.fd, Signal::KILL) {
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => self.kill_members()?,
                result => return gone(result),
            }
        }
        self.signal(Signal::KILL)
    }

    /// Kills the members of its group one by one, for kernels before 6.9: each
    /// through a pidfd, its group read after that was opened, while the leader,
    /// whose number the group has, is still there.
    fn kill_members(&self) -> io::Result<()> {
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = Pid::parse(entry?.file_name().as_bytes()) else {
                continue;
            };
            if pid == self.pid {
                continue;
            }
            let Some(member) = Process::open(pid)? else {
                continue;
            };
            faults::at("member-opened");
            let in_group = stat(pid)?.is_some_and(|stat| stat.group == self.pid.number());
            if in_group && !self.has_ended()? {
                match member.signal(Signal::KILL) {
                    // As when the kernel signals a group: who may be killed is.
                    Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                    result => drop(result?),
                }
            }
        }
        Ok(())
    }

    /// What this process is to that server with that config. Most are told by
    /// their command line, so that one file of /proc is read; its stat costs as
    /// much again.
    pub fn look(&self, server: &Server, config: &Path) -> io::Result<Sight> {
        for _ in 0..LOOKS {
            if let Some(sight) = self.look_once(server, config)? {
                return Ok(sight);
            }
        }
        // It shows another line each time, as none but one that wants to does.
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// One look; none when it has executed something in the middle of it.
    fn look_once(&self, server: &Server, config: &Path) -> io::Result<Option<Sight>> {
        let Some(line) = command_line(self.pid)? else {
            return self.not_seen().map(Some);
        };
        if line.runs(server, config, self.pid)? {
            return Ok(Some(Sight::Server));
        }
        let is_starter = line.name() == Some(OsStr::new(STARTER));
        if !line.0.is_empty() && !is_starter {
            return Ok(Some(Sight::Stranger));
        }
        let Some(stat) = stat(self.pid)? else {
            return self.not_seen().map(Some);
        };
        // Exit lets go of the memory that holds the line before it is a zombie.
        if stat.has_ended() || (line.0.is_empty() && stat.is_ending()) {
            return Ok(Some(Sight::Gone));
        }
        if line.0.is_empty() {
            return Ok(Some(match stat.flags & PF_KTHREAD {
                0 => Sight::Starting,
                _ => Sight::Stranger,
            }));
        }
        if stat.unborn {
            return Ok(Some(Sight::Starting));
        }
        let is_same = command_line(self.pid)? == Some(line);
        Ok(is_same.then_some(Sight::Stranger))
    }

    /// /proc does not show it. Where that is mounted with hidepid, what is not
    /// there may live.
    fn not_seen(&self) -> io::Result<Sight> {
        if self.has_ended()? {
            Ok(Sight::Gone)
        } else {
            Err(io::Error::from_raw_os_error(libc::EACCES))
        }
    }

    /// When it started, in clock ticks since boot; none when it has ended. Had
    /// its number passed on before the look, the pidfd would say so.
    pub fn start(&self) -> io::Result<Option<u64>> {
        let stat = stat(self.pid)?;
        match (self.has_ended()?, stat) {
            (true, _) => Ok(None),
            (false, Some(stat)) => Ok(Some(stat.start)),
            (false, None) => Err(io::Error::from_raw_os_error(libc::EACCES)),
        }
    }

    /// Its children, each opened before its parent was read; `None` when it has
    /// ended: then what was found, or could not be looked at, is nothing of its.
    pub fn children(&self) -> io::Result<Option<Vec<Process>>> {
        let children = self.look_for_children();
        if self.has_ended()? {
            return Ok(None);
        }
        children.map(Some)
    }

    fn look_for_children(&self) -> io::Result<Vec<Process>> {
        let mut children = Vec::new();
        let numbers = child_numbers(self.pid)?;
        faults::at("children-listed");
        for pid in numbers {
            let Some(child) = Process::open(pid)? else {
                continue;
            };
            faults::at("child-opened");
            let parent = stat(pid)?.map(|stat| stat.parent);
            if parent == Some(self.pid.number()) {
                children.push(child);
            }
        }
        Ok(children)
    }
}

fn gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(e) => Err(e),
    }
}

/// What a process is to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It has ended, or nobody has waited for its end yet.
    Gone,
    /// It is somebody else.
    Stranger,
    /// It stands between clone and exec, or inside exec.
    Starting,
    /// It is the server.
    Server,
}

/// What is used of /proc/PID/stat (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 2: whether its name is the one of a child before its exec.
    pub unborn: bool,
    /// Field 3: the state's letter.
    pub state: u8,
    /// Field 4: the parent's number.
    pub parent: i32,
    /// Field 5: the process group.
    pub group: i32,
    /// Field 6: the session.
    pub session: i32,
    /// Field 9: the kernel's flags.
    pub flags: u64,
    /// Field 22: the start, in clock ticks since boot.
    pub start: u64,
}

impl Stat {
    /// Reads the line. The second field is the program's name in parentheses,
    /// which may itself hold blanks and parentheses: the last one ends it.
    pub fn parse(line: &[u8]) -> Option<Stat> {
        let begin = line.iter().position(|b| *b == b'(')? + 1;
        let end = line.iter().rposition(|b| *b == b')')?;
        let rest = line.get(end + 1..)?.strip_prefix(b" ")?;
        let rest = std::str::from_utf8(rest).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().take(20).collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse().ok();
        Some(Stat {
            unborn: line.get(begin..end)? == UNBORN.to_bytes(),
            state: *fields.first()?.as_bytes().first()?,
            parent: number(4)?,
            group: number(5)?,
            session: number(6)?,
            flags: field(9)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
        })
    }

    /// Whether it is a zombie or dead.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Whether it has ended or is ending: exit closes a process's files before
    /// its pidfd says that it is gone.
    pub fn is_ending(&self) -> bool {
        self.has_ended() || self.flags & PF_EXITING != 0
    }
}

/// /proc/PID/stat; none when no process has that number.
pub fn stat(pid: Pid) -> io::Result<Option<Stat>> {
    let Some(line) = read_proc(pid, "stat")? else {
        return Ok(None);
    };
    match Stat::parse(&line) {
        Some(stat) => Ok(Some(stat)),
        None => Err(io::Error::other(format!(
            "cannot understand /proc/{pid}/stat"
        ))),
    }
}

/// Reads a file of /proc/PID in few system calls: most fit into the first read,
/// and one that fills less than it was given was the last.
fn read_proc(pid: Pid, file: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(4096);
    let read = fs::File::open(format!("/proc/{pid}/{file}")).and_then(|file| {
        loop {
            let room = bytes.capacity() - bytes.len();
            if fd::read_behind(&file, &mut bytes)? < room {
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

/// A process's command line: /proc/PID/cmdline, whose parts end with NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Vec<u8>);

/// The command line of a process; none when no process has that number.
pub fn command_line(pid: Pid) -> io::Result<Option<CommandLine>> {
    Ok(read_proc(pid, "cmdline")?.map(CommandLine))
}

impl CommandLine {
    /// The arguments, the program's own name first.
    pub fn args(&self) -> impl Iterator<Item = &OsStr> {
        let whole = self.0.strip_suffix(b"\0").unwrap_or(&self.0);
        let args = whole.split(|b| *b == 0).map(OsStr::from_bytes);
        args.take(if self.0.is_empty() { 0 } else { usize::MAX })
    }

    /// The program's name without its folder.
    fn name(&self) -> Option<&OsStr> {
        self.args().next().and_then(basename)
    }

    /// The program that this line runs, and its first argument: either the
    /// line's first word, or, when that is an interpreter, the first word after
    /// it that does not begin with `-`. `wanted` says which program is meant.
    pub fn program(
        &self,
        pid: Pid,
        wanted: impl Fn(&OsStr) -> bool,
    ) -> Option<(&OsStr, Option<&OsStr>)> {
        let args: Vec<&OsStr> = self.args().collect();
        let named = |at: usize| {
            let name = basename(args.get(at)?)?;
            wanted(name).then(|| (name, args.get(at + 1).copied()))
        };
        let script = 1 + args
            .iter()
            .skip(1)
            .position(|a| !a.as_bytes().starts_with(b"-"))?;
        let is_script = |_: &_| may_be_script(&seen_from(pid, Path::new(args[script])));
        named(0).or_else(|| named(script).filter(is_script))
    }

    /// Whether this line runs the server with the config: the same bytes, or
    /// another name of the same file. A config of another source that has the
    /// same pid file will do, since the server may have been started before its
    /// config moved. An error when that is not for this process to see, as the
    /// folder of another user's process: who is not known is no stranger.
    pub fn runs(&self, server: &Server, config: &Path, pid: Pid) -> io::Result<bool> {
        let command = OsStr::new(&server.command);
        let Some((_, Some(argument))) = self.program(pid, |name| name == command) else {
            return Ok(false);
        };
        for config in [config.to_owned()]
            .into_iter()
            .chain(others(server, config))
        {
            if argument == config.as_os_str()
                || same_file(&config, &seen_from(pid, Path::new(argument)))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a file can be a script that an interpreter runs, and not a log or a
/// text of the same name that a pager shows: it is executable. A script that is
/// gone, as after an upgrade, tells nothing.
fn may_be_script(script: &Path) -> bool {
    fs::metadata(script).is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0)
        || fs::symlink_metadata(script).is_err()
}

fn basename(arg: &OsStr) -> Option<&OsStr> {
    arg.as_bytes()
        .rsplit(|b| *b == b'/')
        .next()
        .filter(|name| !name.is_empty())
        .map(OsStr::from_bytes)
}

/// A path as the process means it: a relative one begins at its own folder.
fn seen_from(pid: Pid, path: &Path) -> PathBuf {
    if path.is_absolute() {
        path.into()
    } else {
        PathBuf::from(format!("/proc/{pid}/cwd")).join(path)
    }
}

fn same_file(one: &Path, other: &Path) -> io::Result<bool> {
    let identity = |path| match fs::metadata(path) {
        Ok(m) => Ok(Some((m.dev(), m.ino()))),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(e),
        Err(_) => Ok(None),
    };
    match identity(one)? {
        Some(one) => Ok(identity(other)? == Some(one)),
        None => Ok(false),
    }
}

/// The numbers of a process's children: /proc/PID/task/TID/children where the
/// kernel has it (CONFIG_PROC_CHILDREN), or else a search of all processes.
pub fn child_numbers(pid: Pid) -> io::Result<Vec<Pid>> {
    let numbers = |text: Vec<u8>| {
        text.split(|b| *b == b' ')
            .filter_map(Pid::parse)
            .collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    let tasks = match fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(tasks) => tasks,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(all),
        Err(e) => return Err(e),
    };
    faults::at("children-asked");
    for task in tasks {
        let file = task?.path().join("children");
        match fs::read(file) {
            Ok(text) => all.extend(numbers(text)),
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
            Err(_) => return search_children(pid),
        }
    }
    Ok(all)
}

fn search_children(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = Pid::parse(entry?.file_name().as_bytes()) else {
            continue;
        };
        if stat(pid)?.is_some_and(|stat| stat.parent == parent.number()) {
            all.push(pid);
        }
    }
    Ok(all)
}

/// What a process does with a signal, from /proc/PID/status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// It has a handler.
    pub caught: bool,
    /// It is blocked.
    pub blocked: bool,
    /// It is ignored.
    pub ignored: bool,
}

impl Disposition {
    /// Whether the signal's default action is what would happen.
    pub fn is_default(self) -> bool {
        !(self.caught || self.blocked || self.ignored)
    }

    /// Reads the file; none when it makes no sense.
    pub fn parse(status: &[u8], signal: Signal) -> Option<Disposition> {
        let text = std::str::from_utf8(status).ok().map(str::to_owned);
        // Only the Name line can hold anything that is not ASCII.
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(status).into_owned());
        let mask = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            let bits = u64::from_str_radix(line.trim(), 16).ok()?;
            Some(bits >> (signal.number() - 1) & 1 == 1)
        };
        Some(Disposition {
            caught: mask("SigCgt:")?,
            blocked: mask("SigBlk:")?,
            ignored: mask("SigIgn:")?,
        })
    }
}

/// What a process does with a signal at this moment; none when it is gone.
pub fn disposition(pid: Pid, signal: Signal) -> io::Result<Option<Disposition>> {
    let Some(status) = read_proc(pid, "status")? else {
        return Ok(None);
    };
    match Disposition::parse(&status, signal) {
        Some(disposition) => Ok(Some(disposition)),
        None => Err(io::Error::other(format!(
            "cannot understand /proc/{pid}/status"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> CommandLine {
        CommandLine(args.iter().flat_map(|a| a.bytes().chain([0])).collect())
    }

    fn runs(args: &[&str]) -> bool {
        let me = Pid::new(std::process::id() as i32).unwrap();
        line(args)
            .runs(
                &Server::unlisted("object-server"),
                Path::new("/etc/swift/object-server/1.conf"),
                me,
            )
            .unwrap()
    }

    #[test]
    fn only_the_server_with_its_config_is_the_server() {
        const CONF: &str = "/etc/swift/object-server/1.conf";
        assert!(runs(&["swift-object-server", CONF]));
        assert!(runs(&["/usr/bin/swift-object-server", CONF, "verbose"]));
        assert!(runs(&[
            "/usr/bin/python3",
            "/usr/bin/swift-object-server",
            CONF
        ]));
        assert!(runs(&[
            "/usr/bin/python3",
            "-s",
            "-u",
            "/usr/bin/swift-object-server",
            CONF
        ]));
        assert!(!runs(&["vim", "/usr/bin/swift-object-server"]));
        assert!(!runs(&["vim", CONF]));
        assert!(!runs(&[
            "tail",
            "-f",
            "/var/log/a",
            "swift-object-server",
            CONF
        ]));
        assert!(!runs(&["swift-object-server-x", CONF]));
        assert!(!runs(&[
            "swift-object-server",
            "/etc/swift/object-server/2.conf"
        ]));
        assert!(!runs(&["swift-object-server"]));
        assert!(!runs(&["swift-object-server", "-v", CONF]));
        assert!(!runs(&["sh", "-c", "swift-object-server", CONF, "x"][..2]));
        assert!(!runs(&[]));
        assert!(!runs(&["", ""]));
    }

    #[test]
    fn a_reader_of_a_log_of_that_name_is_not_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("swift-a");
        let runs = |interpreter: &str| {
            let me = Pid::new(std::process::id() as i32).unwrap();
            let line = line(&[interpreter, script.to_str().unwrap(), "/x"]);
            line.runs(&Server::unlisted("a"), Path::new("/x"), me)
                .unwrap()
        };
        let set_mode = |mode| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::write(&script, "").unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o755);
        assert!(runs("/usr/bin/python3.11"));
        set_mode(0o644);
        assert!(!runs("tail"));
        fs::remove_file(&script).unwrap();
        assert!(runs("python3"));
    }

    #[test]
    fn a_config_of_another_name_counts_when_it_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two, other) = (
            folder.path().join("1.conf"),
            folder.path().join("2.conf"),
            folder.path().join("3.conf"),
        );
        fs::write(&one, "").unwrap();
        fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&one, &two).unwrap();
        let me = Pid::new(std::process::id() as i32).unwrap();
        let line = line(&["swift-a", one.to_str().unwrap()]);
        let runs = |config: &Path| line.runs(&Server::unlisted("a"), config, me).unwrap();
        assert!(runs(&two));
        assert!(!runs(&other));
        assert!(!runs(Path::new("/nonexistent")));
    }

    #[test]
    fn a_config_that_moved_to_another_source_counts() {
        let me = Pid::new(std::process::id() as i32).unwrap();
        let expirer = crate::catalogue::Catalogue::load(Path::new("/nonexistent"))
            .unwrap()
            .server("object-expirer");
        let line = line(&["swift-object-expirer", "/etc/swift/object-expirer.conf"]);
        let runs = |config: &str| line.runs(&expirer, Path::new(config), me).unwrap();
        assert!(runs("/etc/swift/object-expirer.conf"));
        assert!(runs("/etc/swift/object-server.conf"));
        assert!(!runs("/etc/swift/object-server/1.conf"));
        assert!(!runs("/etc/object-server.conf"));
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
        assert_eq!(stat.flags, 4_194_560);
        assert!(!stat.is_ending() && !stat.unborn);
        let text = String::from_utf8_lossy(text).replace("(a) b (c)", "(swift-starting)");
        assert!(Stat::parse(text.as_bytes()).unwrap().unborn);
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

    #[test]
    fn this_process_sees_itself() {
        let pid = Pid::new(std::process::id() as i32).unwrap();
        let me = Process::open(pid).unwrap().unwrap();
        assert_eq!(me.may_signal().unwrap(), Some(true));
        assert!(!me.has_ended().unwrap());
        assert_eq!(
            me.look(&Server::unlisted("nothing"), Path::new("/x"))
                .unwrap(),
            Sight::Stranger
        );
        assert!(stat(pid).unwrap().unwrap().start > 0);
        // The main thread blocks signals while it starts the other tests' threads.
        let now = disposition(pid, Signal::TERM).unwrap().unwrap();
        assert!(!now.caught && !now.ignored);
    }

    #[test]
    fn dispositions_are_read_from_masks() {
        let status = b"Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000200\n";
        let of = |signal| Disposition::parse(status, signal).unwrap();
        assert!(of(Signal::USR1).caught);
        assert!(of(Signal::from_number(13).unwrap()).ignored);
        assert!(of(Signal::TERM).is_default());
    }

    #[test]
    fn only_positive_numbers_are_pids() {
        assert_eq!(Pid::parse(b"0012").map(Pid::number), Some(12));
        for bad in [
            &b""[..],
            b"0",
            b"-1",
            b"+1",
            b" 1",
            b"1 ",
            b"2147483648",
            b"99999999999999999999",
            b"1x",
        ] {
            assert_eq!(Pid::parse(bad), None);
        }
    }
}
