//! Network namespaces, to which abstract names of sockets belong (unix(7), network_namespaces(7)).

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use super::pid::Pid;
use super::thread::in_thread;

/// Makes a socket in the network namespace of a process. Where that is another one than the caller's
/// (`PrivateNetwork=` of systemd.exec(5)), the socket is made in a thread that alone enters it and ends
/// there.
///
/// # Errors
/// Those of `make`; and `AddrNotAvailable` where the namespace may not be entered, for which one has to
/// be root (CAP_SYS_ADMIN), with a text that says so.
pub fn in_that_of<T: Send>(pid: Pid, make: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let Some(namespace) = foreign(pid) else {
        return make();
    };
    in_thread(|| {
        // SAFETY: the call takes numbers, and the descriptor is open.
        if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } < 0 {
            let kind = io::ErrorKind::AddrNotAvailable;
            return Err(io::Error::new(kind, "in another network namespace"));
        }
        make()
    })
}

/// True when a process is seen to be in another network namespace than this one.
pub fn is_foreign(pid: Pid) -> bool {
    foreign(pid).is_some()
}

/// The network namespace of a process, when it is seen to be another one than the caller's.
fn foreign(pid: Pid) -> Option<File> {
    let path = format!("/proc/{pid}/ns/net");
    let of = |path: &str| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let (own, other) = (of("/proc/self/ns/net")?, of(&path)?);
    (own != other).then(|| File::open(path).ok())?
}
