//! The environment that systemd gives to a service.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use swift_sys::beneath;
use swift_sys::syslog::Severity;

/// The variables that are meant for the process which systemd executed, and for no process that it
/// starts in turn (systemd.exec(5), sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)): a server
/// that has them would speak to systemd in the name of its unit, or look for descriptors that it did
/// not get. What tells of the unit (INVOCATION_ID, SYSTEMD_EXEC_PID, RUNTIME_DIRECTORY, ...) is true for
/// all its processes.
const OF_ONE_PROCESS: [&str; 10] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "FDSTORE",
    "MAINPID",
    "MAINPIDFDID",
];

/// True when standard error leads to the journal: JOURNAL_STREAM holds device and inode of the stream
/// that systemd made (systemd.exec(5)).
pub fn stderr_is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let own = beneath::status(&std::io::stderr());
    own.is_ok_and(|own| stream == *format!("{}:{}", own.st_dev, own.st_ino))
}

/// The start of a line on standard error by which the journal learns its priority (sd-daemon(3)):
/// `<3>`, say. Empty where standard error leads elsewhere.
pub fn priority_prefix(severity: Severity) -> String {
    match stderr_is_journal() {
        true => format!("<{}>", severity as i32),
        false => String::new(),
    }
}

/// True for a variable that is to be kept from the programs that this process starts.
pub fn is_of_one_process(name: &OsStr) -> bool {
    OF_ONE_PROCESS.iter().any(|own| name == *own)
}

/// The environment for a program that this process starts, as NAME=VALUE: its own without what
/// systemd meant for this process alone. None when it is the same as this process's own.
pub fn environment() -> Option<Vec<Vec<u8>>> {
    // Most commands are not run by systemd, and copy nothing.
    if !OF_ONE_PROCESS
        .iter()
        .any(|own| std::env::var_os(own).is_some())
    {
        return None;
    }
    Some(variables(|name| !is_of_one_process(name)))
}

/// The variables of this process with the names that are wanted, as NAME=VALUE.
pub fn variables(wanted: impl Fn(&OsStr) -> bool) -> Vec<Vec<u8>> {
    let kept = std::env::vars_os().filter(|(name, _)| wanted(name));
    let pair =
        |(name, value): (OsString, OsString)| [name.as_bytes(), b"=", value.as_bytes()].concat();
    kept.map(pair).collect()
}
