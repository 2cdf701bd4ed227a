//! The child, between clone and exec. Nothing here may allocate, lock or return: the child makes
//! async-signal-safe calls on memory that was prepared before. Failpoints alone allocate, which only
//! programs built for tests have: the parent's thread stands still outside the allocator meanwhile.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd as _, RawFd};

use super::plan::{Dispositions, PidFile, Plan, User};
use crate::beneath::FILE_MODE;
use crate::failpoint;
use crate::pid::own_digits;

/// The name (proc_pid_comm(5)) of a child from before its pid file is there
/// until it executes: it tells the child from the starter, whose command line it
/// shares, and whose pid an old pid file may hold.
pub const PRE_EXEC: &CStr = c"swift-starting";

/// The size of the kernel's set of signals, in bytes.
const SIGNAL_SET: usize = 8;

/// The step at which the child gave up.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Setup,
    Descriptors,
    PidFile,
    Exec,
}

/// Everything that the child reads, prepared by the parent.
pub(super) struct Prepared<'a> {
    pub plan: &'a Plan<'a>,
    pub program: CString,
    pub argv: Vec<*const c_char>,
    pub envp: *const *const c_char,
    pub fds: Vec<RawFd>,
    /// Where the digits of the child's pid go: room for the longest one and a
    /// zero byte at the end.
    pub pid_digits: Option<*mut u8>,
    pub parent: libc::pid_t,
    pub failure: Option<(Step, c_int)>,
}

pub(super) extern "C" fn run_child(prepared: *mut c_void) -> c_int {
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

/// Does everything between clone and exec. An error stands in errno.
///
/// # Safety
/// Only to be called in the child of a clone.
unsafe fn set_up(prepared: &Prepared) -> Result<(), Step> {
    let plan = prepared.plan;
    // SAFETY: all of these are system calls on numbers and prepared memory.
    unsafe {
        // Until it executes, others can tell that it has not.
        if plan.pid_file.is_some() {
            setup(libc::prctl(libc::PR_SET_NAME, PRE_EXEC.as_ptr()))?;
        }
        failpoint::at("child-begun");
        if plan.own_session {
            setup(libc::setsid())?;
        }
        if let Some(directory) = plan.directory {
            setup(libc::fchdir(directory.as_raw_fd()))?;
        }
        set_dispositions(plan.signals);
        if let Some(file) = &plan.pid_file {
            write_pid_file(file).map_err(|()| Step::PidFile)?;
            failpoint::at("child-tracked");
        }
        for (target, source) in prepared.fds.iter().enumerate() {
            setup(libc::dup2(*source, target as c_int))?;
        }
        let (first, last) = (prepared.fds.len() as libc::c_uint, libc::c_uint::MAX);
        if libc::syscall(libc::SYS_close_range, first, last, 0) < 0 {
            return Err(Step::Descriptors);
        }
        if let Some(to) = prepared.pid_digits {
            let mut digits = [0u8; 16];
            let text = own_digits(&mut digits);
            std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        }
        failpoint::at("child-ready");
        // As late as can be: from here on that user may stop this process, and with it the parent,
        // until it executes.
        if let Some(user) = plan.user {
            become_user(user)?;
        }
        // After that, since the signal at the parent's death is forgotten with the user.
        if let Some(signal) = plan.parent_death {
            setup(libc::prctl(libc::PR_SET_PDEATHSIG, signal.number()))?;
            // The parent may have died before the call above.
            if libc::getppid() != prepared.parent {
                libc::_exit(127);
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        let set = libc::SIG_SETMASK;
        setup(libc::sigprocmask(
            set,
            &raw const none,
            std::ptr::null_mut(),
        ))
    }
}

fn setup(result: c_int) -> Result<(), Step> {
    if result < 0 { Err(Step::Setup) } else { Ok(()) }
}

/// Gives up being root, for good.
///
/// # Safety
/// Only to be called in the child of a clone. The C library's own functions
/// would look for other threads, which are the parent's.
unsafe fn become_user(user: &User) -> Result<(), Step> {
    let (uid, gid, groups) = (user.uid, user.gid, &user.groups);
    // SAFETY: the list of groups is as long as is said, and only read.
    unsafe {
        let set = libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr());
        setup(set as c_int)?;
        setup(libc::syscall(libc::SYS_setresgid, gid, gid, gid) as c_int)?;
        setup(libc::syscall(libc::SYS_setresuid, uid, uid, uid) as c_int)
    }
}

/// # Safety
/// Only to be called in the child of a clone, where all signals are blocked.
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

/// Writes this process's pid into the temporary file and renames it. The
/// pid has no newline after it, as write_file in Swift's utils leaves it.
///
/// # Safety
/// Only to be called in the child of a clone.
unsafe fn write_pid_file(file: &PidFile) -> Result<(), ()> {
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
        if written >= 0 && written < text.len() as isize {
            *libc::__errno_location() = libc::ENOSPC;
        }
        if complete {
            failpoint::at("child-numbered");
            if libc::renameat(dir, file.temporary.as_ptr(), dir, file.name.as_ptr()) == 0 {
                return Ok(());
            }
        }
        let errno = *libc::__errno_location();
        libc::unlinkat(dir, file.temporary.as_ptr(), 0);
        *libc::__errno_location() = errno;
        Err(())
    }
}
