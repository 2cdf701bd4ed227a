//! The children of a process.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use swift_sys::failpoint;
use swift_sys::pid::Pid;

use super::stat::stat;

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
    failpoint::at("children-asked");
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
        if stat(pid)?.is_some_and(|stat| stat.parent == parent.raw()) {
            all.push(pid);
        }
    }
    Ok(all)
}
