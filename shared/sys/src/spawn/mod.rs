//! Starting a process.
//!
//! The child shares its parent's memory until it has executed or given up
//! (clone(2) with CLONE_VM and CLONE_VFORK, as posix_spawn(3) does), so starting
//! costs the same however large the parent is, and the child can leave its error
//! where the parent reads it. The price is what `child.rs` says of itself.

mod child;
mod clone;
mod plan;

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

pub use child::PRE_EXEC;
pub use plan::{Child, Dispositions, Failure, PidFile, Plan, User};

use super::fd::duplicate_above;
use super::pidfd;
use super::refused::explained;
use child::{Prepared, Step};
use clone::clone;

/// The longest pid has that many digits.
const DIGITS: usize = 10;

/// Starts a process and returns when it executes the program, or did not.
pub fn spawn(plan: &Plan) -> Result<Child, Failure> {
    let args = plan.args.iter().map(|arg| arg.as_bytes());
    let args = strings(args).map_err(Failure::Exec)?;
    let environment = plan.environment.as_ref();
    let environment = environment.map(|all| strings(all.iter().map(Vec::as_slice)));
    let environment = environment.transpose().map_err(Failure::Exec)?;
    let mut envp = environment.as_deref().map(pointers);
    let mut own_pid = plan
        .pid_variable
        .map(|name| [name.as_bytes(), b"=", &[0; DIGITS + 1]].concat());
    let mut pid_digits = None;
    if let (Some(envp), Some(variable)) = (&mut envp, &mut own_pid) {
        let digits = variable.len() - (DIGITS + 1);
        let start = variable.as_mut_ptr();
        envp.insert(0, start.cast_const().cast());
        pid_digits = Some(start.wrapping_add(digits));
    }
    // Copies above all targets, so that putting one in its place covers none of the others.
    let least = (plan.stdio.len() + plan.extra.len()) as RawFd;
    let all = plan.stdio.iter().chain(&plan.extra);
    let copies: io::Result<Vec<OwnedFd>> = all.map(|fd| duplicate_above(fd, least)).collect();
    let copies = copies.map_err(Failure::Fork)?;
    let mut prepared = Prepared {
        plan,
        program: string(plan.program.as_bytes()).map_err(Failure::Exec)?,
        argv: pointers(&args),
        envp: envp.as_ref().map_or_else(current_environment, Vec::as_ptr),
        fds: copies.iter().map(|fd| fd.as_raw_fd()).collect(),
        pid_digits,
        parent: std::process::id() as libc::pid_t,
        failure: None,
    };
    let child = clone(&mut prepared).map_err(|e| Failure::Fork(explained(e, "clone", "5.2")))?;
    let Some((step, errno)) = prepared.failure else {
        return Ok(child);
    };
    // The child has exited already; its status is taken so that nothing of it stays.
    let _ = pidfd::wait(&child.pidfd);
    let error = io::Error::from_raw_os_error(errno);
    Err(match step {
        Step::Setup => Failure::Fork(error),
        Step::Descriptors => Failure::Fork(explained(error, "close_range", "5.9")),
        Step::PidFile => Failure::PidFile(error),
        Step::Exec => Failure::Exec(error),
    })
}

fn string(bytes: &[u8]) -> io::Result<CString> {
    Ok(CString::new(bytes)?)
}

fn strings<'a>(all: impl Iterator<Item = &'a [u8]>) -> io::Result<Vec<CString>> {
    all.map(string).collect()
}

/// The list that execve(2) takes, with a null pointer at its end.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr());
    pointers.chain([std::ptr::null()]).collect()
}

fn current_environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the pointer is read once, and no tool changes its environment.
    unsafe { environ }
}
