//! The content of a pid file.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use swift_sys::error::reason_of;
use swift_sys::pid::Pid;
use swift_sys::{beneath, fd};

/// A larger file is no pid file.
pub const MAX_SIZE: usize = 64;

/// The content of a pid file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Absent,
    /// A pid.
    Number(Pid),
    /// Something that is no pid.
    Invalid,
    /// Something that is no pid file, or that may not be read; the text says why.
    Unreadable(String),
}

/// A pid file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its content.
    pub content: Content,
    /// True when every user may write into it.
    pub world_writable: bool,
    /// The user who owns it, where it is a file.
    pub owner: Option<u32>,
}

/// Reads the pid file at a path beneath the run directory, or beneath a directory
/// of it that is open.
pub fn read(dir: &impl AsFd, path: &Path) -> Look {
    let mut look = Look {
        content: Content::Absent,
        world_writable: false,
        owner: None,
    };
    look.content = match read_content(dir, path, &mut look) {
        Ok(content) => content,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Content::Absent,
        Err(e) => Content::Unreadable(unreadable(&e)),
    };
    look
}

/// The words for an error: openat2 reports a link that it refused to
/// follow, a socket and an escape by numbers that say little.
fn unreadable(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ELOOP) => "a symbolic link".into(),
        Some(libc::ENXIO) => "a socket or a device".into(),
        Some(libc::EXDEV) => "leads out of the run directory".into(),
        _ => reason_of(error),
    }
}

fn read_content(dir: &impl AsFd, path: &Path, look: &mut Look) -> io::Result<Content> {
    let file = beneath::open_file(dir, path)?;
    let status = beneath::status(&file)?;
    let what = match status.st_mode & libc::S_IFMT {
        libc::S_IFREG if status.st_size as usize > MAX_SIZE => "longer than 64 bytes",
        libc::S_IFREG => "",
        libc::S_IFDIR => "a directory",
        libc::S_IFIFO => "a fifo",
        _ => "not a regular file",
    };
    if !what.is_empty() {
        return Ok(Content::Unreadable(what.into()));
    }
    look.world_writable = status.st_mode & 0o002 != 0;
    look.owner = Some(status.st_uid);
    let mut bytes = [0; MAX_SIZE + 1];
    let length = fd::read(&file, &mut bytes)?;
    if length > MAX_SIZE {
        return Ok(Content::Unreadable("longer than 64 bytes".into()));
    }
    Ok(Pid::parse(bytes[..length].trim_ascii()).map_or(Content::Invalid, Content::Number))
}
