//! The children of a process.

use std::fs;
use std::io;
use std::path::Path;

use swift_sys::failpoint;
use swift_sys::pid::Pid;

use super::stat::{pids, stat, threads};

/// The pids of a process's children: /proc/PID/task/TID/children where the
/// kernel has it (CONFIG_PROC_CHILDREN), or else a search of all processes.
pub fn child_numbers(pid: Pid) -> io::Result<Vec<Pid>> {
    let mut all = Vec::new();
    let threads = threads(pid)?;
    failpoint::at("children-asked");
    for thread in threads {
        let thread = format!("/proc/{pid}/task/{}", thread?);
        match fs::read(format!("{thread}/children")) {
            Ok(text) => all.extend(text.split(|b| *b == b' ').filter_map(Pid::parse)),
            // It has ended meanwhile. Without CONFIG_PROC_CHILDREN the thread is there, and the
            // file is not.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) || !Path::new(&thread).exists() => {}
            Err(_) => return search_children(pid),
        }
    }
    Ok(all)
}

/// The pids of the descendants of these processes, and of no other process. What begins meanwhile may be
/// left out.
pub fn descendants(of: impl IntoIterator<Item = Pid>) -> io::Result<Vec<Pid>> {
    let mut parents: Vec<Pid> = of.into_iter().collect();
    let mut all: Vec<Pid> = Vec::new();
    while let Some(parent) = parents.pop() {
        for child in child_numbers(parent)? {
            if !all.contains(&child) {
                all.push(child);
                parents.push(child);
            }
        }
    }
    Ok(all)
}

fn search_children(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut all = Vec::new();
    for pid in pids()? {
        let pid = pid?;
        if stat(pid)?.is_some_and(|stat| stat.parent == parent.raw()) {
            all.push(pid);
        }
    }
    Ok(all)
}
