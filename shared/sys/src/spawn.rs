//! Starting a process.
//!
//! The child shares its parent's memory until it has executed or given up
//! (clone(2) with CLONE_VM and CLONE_VFORK, as posix_spawn(3) does), so starting
//! costs the same however large the parent is, and the child can leave its error
//! where the parent reads it. In exchange nothing in the child may allocate,
//! lock or return: it makes async-signal-safe calls on memory that was prepared
//! before.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

use super::beneath::FILE_MODE;
use super::pid::{Pid, own_digits};
use super::refused::Needed;
use super::signal::Signal;

/// What is to be started, and what it gets.
pub struct Plan<'a> {
    /// The file to execute; PATH is not searched.
    pub program: &'a OsStr,
    /// Its arguments, its own name first.
    pub args: Vec<&'a OsStr>,
    /// Its environment, as NAME=VALUE; none for that of this process.
    pub environment: Option<Vec<Vec<u8>>>,
    /// A variable of which the value is to be its own number, such as LISTEN_PID
    /// (sd_listen_fds(3)). It is only set beside an environment that is given.
    pub own_number: Option<&'a str>,
    /// Standard input, output and error.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Further descriptors that it gets, numbered from 3. It gets no others.
    pub extra: Vec<BorrowedFd<'a>>,
    /// The folder it starts in, when not this process's own.
    pub folder: Option<BorrowedFd<'a>>,
    /// Whether it leads a session of its own.
    pub own_session: bool,
    /// What it does with signals.
    pub signals: Dispositions<'a>,
    /// The signal it gets when this process dies.
    pub parent_death: Option<Signal>,
    /// The pid file that it writes for itself before it executes.
    pub pid_file: Option<PidFile<'a>>,
}

/// What a new process does with signals. Its mask is empty either way.
#[derive(Clone, Copy)]
pub enum Dispositions<'a> {
    /// The default action for all.
    Default,
    /// What this process does, and these ignored.
    Inherited {
        /// The signals to ignore.
        ignore: &'a [Signal],
    },
}

/// A pid file that is written under one name and renamed to another, both of
/// the same directory.
pub struct PidFile<'a> {
    /// The directory.
    pub dir: BorrowedFd<'a>,
    /// The name while it is written. A file of that name is removed first.
    pub temporary: &'a CStr,
    /// The name in the end.
    pub name: &'a CStr,
}

/// A user with its groups.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
}

/// A started process.
pub struct Child {
    /// Its number.
    pub pid: Pid,
    /// The descriptor that stands for it.
    pub pidfd: OwnedFd,
}

/// Why a process was not started. Nothing is left of it then but, after
/// [`Failure::Exec`] or [`Failure::Fork`], its pid file.
#[derive(Debug)]
pub enum Failure {
    /// There can be no further process, or its descriptors and session could
    /// not be made as planned.
    Fork(io::Error),
    /// Its pid file could not be written.
    PidFile(io::Error),
    /// The program could not be executed.
    Exec(io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Fork(e) | Failure::PidFile(e) | Failure::Exec(e) => e.fmt(f),
        }
    }
}

const CLONE: Needed = Needed {
    name: "clone",
    since: "5.2",
    eperm_is_refusal: true,
};
const CLOSE_RANGE: Needed = Needed {
    name: "close_range",
    since: "5.9",
    eperm_is_refusal: true,
};

/// The step at which the child gave up.
#[derive(Clone, Copy)]
enum Step {
    Setup,
    Descriptors,
    PidFile,
    Exec,
}

/// All that the child looks at, prepared by the parent.
struct Prepared<'a> {
    plan: &'a Plan<'a>,
    user: Option<&'a User>,
    program: CString,
    argv: Vec<*const c_char>,
    envp: *const *const c_char,
    fds: Vec<RawFd>,
    /// Where the digits of the child's own number go: room for the longest
    /// number and a zero byte at the end.
    number: Option<*mut u8>,
    parent: libc::pid_t,
    points: super::fault::Points,
    failure: Option<(Step, c_int)>,
}

/// The name (proc_pid_comm(5)) that a child bears from before its pid file is
/// there until it executes: it tells it from the starter, whose command line it
/// shares, and whose number an old pid file may hold.
pub const PRE_EXEC: &CStr = c"swift-starting";

/// How many digits a process's number has at most.
const DIGITS: usize = 10;

/// Size of the kernel's set of signals, in bytes.
const SIGNAL_SET: usize = 8;

/// Size of the child's stack: a few frames and one small buffer.
const STACK: usize = 64 * 1024;

/// Starts a process and returns when it executes the program, or did not.
pub fn spawn(plan: &Plan) -> Result<Child, Failure> {
    spawn_as(plan, None)
}

/// Starts a process, as another user when one is given, for which one has to be root.
pub fn spawn_as(plan: &Plan, user: Option<&User>) -> Result<Child, Failure> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|e| Failure::Exec(e.into()));
    let args = plan
        .args
        .iter()
        .map(|a| text(a.as_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    let environment = match &plan.environment {
        Some(env) => Some(env.iter().map(|e| text(e)).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let mut own_number = plan
        .own_number
        .map(|name| [name.as_bytes(), b"=", &[0; DIGITS + 1]].concat());
    let mut envp = environment.as_deref().map(pointers);
    let mut number = None;
    if let (Some(envp), Some(variable)) = (&mut envp, &mut own_number) {
        let digits = variable.len() - (DIGITS + 1);
        let start = variable.as_mut_ptr();
        envp.insert(0, start.cast_const().cast());
        number = Some(start.wrapping_add(digits));
    }
    // Copies above all targets, so that putting one in its place covers none of the others.
    let fds: Vec<BorrowedFd> = plan.stdio.iter().chain(&plan.extra).copied().collect();
    let copy = |fd| super::fd::duplicate_above(fd, fds.len() as RawFd);
    let copies: Vec<OwnedFd> = fds
        .iter()
        .map(copy)
        .collect::<io::Result<_>>()
        .map_err(Failure::Fork)?;
    let mut prepared = Prepared {
        plan,
        user,
        program: text(plan.program.as_bytes())?,
        argv: pointers(&args),
        envp: envp
            .as_ref()
            .map_or_else(current_environment, |e| e.as_ptr()),
        fds: copies.iter().map(|fd| fd.as_raw_fd()).collect(),
        number,
        parent: std::process::id() as libc::pid_t,
        points: super::fault::Points::prepare(),
        failure: None,
    };
    let child = clone(&mut prepared).map_err(|e| Failure::Fork(CLONE.error(e)))?;
    match prepared.failure {
        None => Ok(child),
        Some((step, errno)) => {
            // The child is gone already; its status is taken so that nothing of it stays.
            let _ = super::pidfd::wait(&child.pidfd);
            let error = io::Error::from_raw_os_error(errno);
            Err(match step {
                Step::Setup => Failure::Fork(error),
                Step::Descriptors => Failure::Fork(CLOSE_RANGE.error(error)),
                Step::PidFile => Failure::PidFile(error),
                Step::Exec => Failure::Exec(error),
            })
        }
    }
}

fn current_environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the pointer is read once, and no tool changes its environment.
    unsafe { environ }
}

/// The clone itself: the parent stands still until the child has executed or
/// exited, and no handler of this process runs in the child.
fn clone(prepared: &mut Prepared) -> io::Result<Child> {
    let mut stack: Vec<u128> = Vec::with_capacity(STACK / size_of::<u128>());
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the sets are filled in before they are read. The stack is
    // writable memory that outlives the child's use of it, since CLONE_VFORK
    // holds this thread until the child has executed or exited; its top is
    // aligned to 16 bytes. `prepared` outlives the child likewise, and this
    // thread does not look at it meanwhile. CLONE_PIDFD stores an open
    // descriptor, which nobody else has, when clone succeeds.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let top = stack.as_mut_ptr().add(stack.capacity());
        let pid = libc::clone(
            run_child,
            top.cast(),
            flags,
            (&raw mut *prepared).cast(),
            &raw mut pidfd,
        );
        let error = io::Error::last_os_error();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        if pid < 0 {
            return Err(error);
        }
        let pid = Pid::new(pid).expect("clone returns a positive number");
        Ok(Child {
            pid,
            pidfd: OwnedFd::from_raw_fd(pidfd),
        })
    }
}

extern "C" fn run_child(prepared: *mut c_void) -> c_int {
    // SAFETY: this is the pointer that clone was given; the parent stands still.
    let prepared = unsafe { &mut *prepared.cast::<Prepared>() };
    // SAFETY: only async-signal-safe calls on prepared memory are made.
    let step = match unsafe { set_up(prepared) } {
        Err(step) => step,
        Ok(()) => {
            // SAFETY: program, argv and envp are terminated as execve(2) wants them.
            unsafe {
                libc::execve(
                    prepared.program.as_ptr(),
                    prepared.argv.as_ptr(),
                    prepared.envp,
                )
            };
            Step::Exec
        }
    };
    prepared.failure = Some((step, nix::errno::Errno::last_raw()));
    // SAFETY: exits at once and runs nothing of the parent's.
    unsafe { libc::_exit(127) }
}

/// Everything between clone and exec. An error leaves its number in errno.
///
/// # Safety
/// Only to be called in the child of [`clone`].
unsafe fn set_up(prepared: &Prepared) -> Result<(), Step> {
    let check = |result: c_int, step: Step| if result < 0 { Err(step) } else { Ok(()) };
    let plan = prepared.plan;
    // SAFETY: all of these are system calls on numbers and prepared memory.
    unsafe {
        // Until it executes, whoever looks at it can tell that it has not.
        if plan.pid_file.is_some() {
            check(
                libc::prctl(libc::PR_SET_NAME, PRE_EXEC.as_ptr()),
                Step::Setup,
            )?;
        }
        prepared.points.at("child-begun");
        if plan.own_session {
            check(libc::setsid(), Step::Setup)?;
        }
        if let Some(folder) = plan.folder {
            check(libc::fchdir(folder.as_raw_fd()), Step::Setup)?;
        }
        set_dispositions(plan.signals);
        if let Some(file) = &plan.pid_file {
            write_pid_file(file, &prepared.points).map_err(|()| Step::PidFile)?;
            prepared.points.at("child-tracked");
        }
        for (target, source) in prepared.fds.iter().enumerate() {
            check(libc::dup2(*source, target as c_int), Step::Setup)?;
        }
        check(
            libc::syscall(
                libc::SYS_close_range,
                prepared.fds.len() as libc::c_uint,
                libc::c_uint::MAX,
                0,
            ) as c_int,
            Step::Descriptors,
        )?;
        if let Some(number) = prepared.number {
            let mut digits = [0u8; 16];
            let text = own_digits(&mut digits);
            std::ptr::copy_nonoverlapping(text.as_ptr(), number, text.len());
        }
        prepared.points.at("child-ready");
        // As late as can be: from here on that user may stop this process, and with it the parent,
        // until it executes.
        if let Some(user) = prepared.user {
            become_user(user, check)?;
        }
        // After that, since the signal at the parent's death is forgotten with the user.
        if let Some(signal) = plan.parent_death {
            check(
                libc::prctl(libc::PR_SET_PDEATHSIG, signal.number()),
                Step::Setup,
            )?;
            // The parent may have died before the call above.
            if libc::getppid() != prepared.parent {
                libc::_exit(127);
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()),
            Step::Setup,
        )
    }
}

/// Gives up being root, for good.
///
/// # Safety
/// Only to be called in the child of [`clone`]. The C library's own functions
/// would look for other threads, which are the parent's.
unsafe fn become_user(
    user: &User,
    check: impl Fn(c_int, Step) -> Result<(), Step>,
) -> Result<(), Step> {
    let (uid, gid, groups) = (user.uid, user.gid, &user.groups);
    // SAFETY: the list of groups is as long as is said, and only read.
    unsafe {
        let set = libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr());
        check(set as c_int, Step::Setup)?;
        let set = libc::syscall(libc::SYS_setresgid, gid, gid, gid);
        check(set as c_int, Step::Setup)?;
        let set = libc::syscall(libc::SYS_setresuid, uid, uid, uid);
        check(set as c_int, Step::Setup)
    }
}

/// # Safety
/// Only to be called in the child of [`clone`], where all signals are blocked.
unsafe fn set_dispositions(dispositions: Dispositions) {
    // SAFETY: the structure is initialised, and SIG_DFL and SIG_IGN are no functions.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        match dispositions {
            Dispositions::Default => {
                // The C library's own function refuses the two signals that it
                // keeps for itself, which may be inherited as ignored as well.
                // A zeroed action is the default one, and KILL and STOP, which
                // have no other, refuse it.
                let default = [0u64; 8];
                for number in 1..=64 {
                    libc::syscall(
                        libc::SYS_rt_sigaction,
                        number,
                        &raw const default,
                        std::ptr::null_mut::<c_void>(),
                        SIGNAL_SET,
                    );
                }
            }
            Dispositions::Inherited { ignore } => {
                action.sa_sigaction = libc::SIG_IGN;
                for signal in ignore {
                    libc::sigaction(signal.number(), &raw const action, std::ptr::null_mut());
                }
            }
        }
    }
}

/// Writes this process's number into the temporary file and renames it. The
/// number has no newline after it, as write_file in Swift's utils leaves it.
///
/// # Safety
/// Only to be called in the child of [`clone`].
unsafe fn write_pid_file(file: &PidFile, points: &super::fault::Points) -> Result<(), ()> {
    let mut digits = [0u8; 16];
    let text = own_digits(&mut digits);
    let dir = file.dir.as_raw_fd();
    // SAFETY: the names are terminated, the buffer is as long as is said, and
    // the descriptor is the one that openat returned.
    unsafe {
        libc::unlinkat(dir, file.temporary.as_ptr(), 0);
        let flags =
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let fd = libc::openat(dir, file.temporary.as_ptr(), flags, FILE_MODE);
        if fd < 0 {
            return Err(());
        }
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        // The umask may have taken bits away.
        let complete = written == text.len() as isize && libc::fchmod(fd, FILE_MODE) == 0;
        points.at("child-numbered");
        if written >= 0 && written < text.len() as isize {
            *libc::__errno_location() = libc::ENOSPC;
        }
        if complete && libc::renameat(dir, file.temporary.as_ptr(), dir, file.name.as_ptr()) == 0 {
            return Ok(());
        }
        let errno = *libc::__errno_location();
        libc::unlinkat(dir, file.temporary.as_ptr(), 0);
        *libc::__errno_location() = errno;
        Err(())
    }
}
