//! Variables that are handed on from manager to manager and to workers.

use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

use swift_server::process::Pid;
use swift_sys::fd;

/// The memfd with the state for the image that is executed: its descriptor, a colon, and the pid
/// that it is meant for.
pub const HANDOVER: &str = "SWIFT_SERVE_HANDOVER";
/// The version of the state that the image of a config check will be handed.
pub const STATE_VERSION: &str = "SWIFT_SERVE_STATE_VERSION";
/// The manager that started a worker.
pub const MANAGER: &str = "SWIFT_SERVE_MANAGER";
/// The number of a worker's generation.
pub const GENERATION: &str = "SWIFT_SERVE_GENERATION";
/// The server of a worker: FILE, a blank, CONF.
pub const SERVER: &str = "SWIFT_SERVE_SERVER";
/// The pid of a worker, which its own processes inherit.
pub const WORKER: &str = "LISTEN_PID";
/// Where the pid file lies.
pub const PID_FILE: &str = swift_server::process::tag::PID_FILE;
/// The directory under whose lock it is changed.
pub const RUN_DIR: &str = "SWIFT_RUN_DIR";

/// The process of which systemd's watchdog expects notifications.
pub const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The most descriptors that are taken from systemd.
const PASSED_MAX: RawFd = 4096;

/// Variables of the manager that workers do not get.
const NOT_FOR_WORKERS: &[&str] = &[
    HANDOVER,
    MANAGER,
    GENERATION,
    SERVER,
    PID_FILE,
    swift_server::process::tag::CONFIG,
    RUN_DIR,
    swift_sys::failpoint::VARIABLE,
    "NOTIFY_SOCKET",
    "READY_FD",
    "LISTEN_FDS",
    WORKER,
    "LISTEN_FDNAMES",
    WATCHDOG_PID,
    "WATCHDOG_USEC",
    "MAINPID",
];

/// The descriptor of the memfd for this very process.
pub fn handed_over() -> Option<RawFd> {
    let value = std::env::var(HANDOVER).ok()?;
    let (number, pid) = value.split_once(':')?;
    (pid.parse() == Ok(std::process::id())).then_some(number.parse().ok())?
}

/// Descriptors that systemd has passed to this very process, with their names (sd_listen_fds(3)).
/// To be called once: they are closed under their numbers.
pub fn passed() -> Vec<(OwnedFd, String)> {
    let value = |name| std::env::var(name).unwrap_or_default();
    if Pid::parse(value(WORKER).as_bytes()) != Some(Pid::own()) {
        return Vec::new();
    }
    let count = value("LISTEN_FDS").parse().unwrap_or(0).min(PASSED_MAX);
    let names = value("LISTEN_FDNAMES");
    let mut names = names.split(':');
    let mut passed = Vec::new();
    for number in 3..3 + count {
        let name = names.next().unwrap_or_default().to_owned();
        // The others are this process's own: it has all of them closed on exec.
        if fd::is_inheritable(number) {
            passed.extend(fd::adopt(number).ok().map(|fd| (fd, name)));
        }
    }
    passed
}

pub fn is_handed_over() -> bool {
    handed_over().is_some()
}

/// The environment of a config check: that of this process, and the version of the state that would be
/// handed over.
pub fn of_check(version: u32) -> Vec<Vec<u8>> {
    let own = std::env::vars_os().filter(|(name, _)| name != STATE_VERSION);
    let own = own.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let version = format!("{STATE_VERSION}={version}").into_bytes();
    own.chain([version]).collect()
}

/// The version of the state that this config check is to answer for.
pub fn state_version() -> Option<u32> {
    std::env::var(STATE_VERSION).ok()?.parse().ok()
}

/// The environment of a worker: these, and what this process has, without what
/// is its own business. These come first, since of a long environment only the
/// beginning is read when workers are searched for.
pub fn of_worker(with: &[(&str, String)]) -> Vec<Vec<u8>> {
    let own = std::env::vars_os()
        .filter(|(name, _)| !NOT_FOR_WORKERS.iter().any(|other| name == other))
        .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let with = with
        .iter()
        .map(|(name, value)| format!("{name}={value}").into_bytes());
    with.chain(own).collect()
}
