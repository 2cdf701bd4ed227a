//! The system's log.

use std::ffi::{CStr, CString};

pub use nix::syslog::Severity;
use nix::syslog::{Facility, LogFlags, openlog, syslog};

/// Opens the log under a name.
pub fn open(name: &str) {
    // The C library keeps the pointer that it is given, so the name stays for
    // as long as this process does.
    let name = CString::new(name).ok();
    let name: Option<&'static CStr> = name.map(|name| &*Box::leak(name.into_boxed_c_str()));
    // There is no error but that of a name which cannot be one.
    let _ = openlog(name, LogFlags::LOG_PID, Facility::LOG_DAEMON);
}

/// Writes one line into it. Where no log is listening, the line is lost.
pub fn write(severity: Severity, line: &str) {
    let _ = syslog(severity, &line.replace('\0', "\\0"));
}
