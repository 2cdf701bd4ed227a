//! Changes to a pid file, each under the lock of the run directory.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::judge::verify;
use super::read::{Content, read};
use crate::process::{Pid, Process};
use crate::rundir::RunDir;
use swift_records::instance::Instance;
use swift_sys::{beneath, failpoint};

/// Removes a pid file if it still holds what was found. To be called under the
/// run directory's lock. `false` when it holds something else by now.
pub fn remove_if(run_dir: &RunDir, path: &Path, content: &Content) -> io::Result<bool> {
    match read(run_dir, path).content {
        Content::Absent => Ok(true),
        Content::Unreadable(_) => Ok(false),
        now if now == *content => {
            failpoint::at("pid-file-compared");
            let (directory, name) = open_directory(run_dir, path)?;
            beneath::unlink(&directory, &CString::new(name.as_bytes())?)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Opens the directory of a pid file, and returns the file's name in it.
fn open_directory<'a>(run_dir: &RunDir, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let directory = beneath::open_dir(run_dir, parent.unwrap_or(Path::new(".")))?;
    Ok((directory, name))
}

/// Puts a pid into a pid file that is there, all at once. To be called under
/// the run directory's lock.
pub fn replace(run_dir: &RunDir, path: &Path, pid: Pid) -> io::Result<()> {
    let (directory, name) = open_directory(run_dir, path)?;
    beneath::replace_file(&directory, Path::new(name), pid.to_string().as_bytes())
}

/// Inspects a pid file again and removes it if it is stale or invalid. To be called under the run
/// directory's lock. `ended` is a process that is thought to have ended: a file that holds a
/// zombie's pid is stale, and /proc need not be asked. `false` when the file is true, or is no pid file.
pub fn remove_if_stale(
    run_dir: &RunDir,
    instance: &Instance,
    ended: Option<&Process>,
) -> io::Result<bool> {
    remove_in(&mut None, run_dir, instance, ended)
}

/// The same for many pid files under one lock: `directory` is kept from one to the next, with the
/// path of its pid files' directory beneath the run directory.
pub(super) fn remove_in(
    directory: &mut Option<(PathBuf, OwnedFd)>,
    run_dir: &RunDir,
    instance: &Instance,
    ended: Option<&Process>,
) -> io::Result<bool> {
    let path = &instance.pid_path.beneath;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let directory = match directory.take().filter(|(kept, _)| kept == parent) {
        Some(kept) => directory.insert(kept),
        None => match open_directory(run_dir, path) {
            Ok((opened, _)) => directory.insert((parent.to_owned(), opened)),
            Err(e) if is_no_directory(&e) => return Ok(false),
            Err(e) => return Err(e),
        },
    };
    let directory = &directory.1;
    let look = read(directory, Path::new(name));
    failpoint::at("pid-file-read-again");
    let is_that = |process: &&Process| look.content == Content::Number(process.pid);
    let is_stale = match ended.filter(is_that) {
        Some(process) if process.is_zombie()? => true,
        _ => verify(&look, instance)?.is_stale(),
    };
    if is_stale {
        failpoint::at("pid-file-judged");
        beneath::unlink(directory, &CString::new(name.as_bytes())?)?;
    }
    Ok(is_stale)
}

/// True when an error of opening a directory says that there is none, or a link in its
/// place, and so no pid file.
fn is_no_directory(error: &io::Error) -> bool {
    let absent = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::EXDEV];
    error.raw_os_error().is_some_and(|e| absent.contains(&e))
}
