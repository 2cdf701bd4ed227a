//! A finding: why a start would fail.

use std::path::{Path, PathBuf};

use swift_records::ini::Fault;
use swift_records::reason::Reason;

/// Why a start would fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The first word of a row's detail.
    pub reason: Reason,
    /// The file, the line and the key, and what is wrong.
    pub text: String,
}

pub(super) type Result<T = ()> = std::result::Result<T, Finding>;

impl Finding {
    pub(super) fn syntax(fault: &Fault) -> Finding {
        let text = format!("{}: {}", fault.place, fault.what);
        let reason = Reason::Syntax;
        Finding { reason, text }
    }
}

/// A path as it is meant by a server, which changes to / before it opens it.
pub(super) fn from_root(path: &str) -> PathBuf {
    Path::new("/").join(path)
}
