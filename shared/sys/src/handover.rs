//! Becoming another image, or two processes, with what is open handed on.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ForkResult;

use super::pid::Pid;

/// Which of the two processes this is after [`fork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The one that was there, and the pid of the new one.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Makes a second process of this one, which goes on with a copy of everything.
/// An error when this process has more than one thread: the copy would have
/// just one, and whatever the others had locked would stay locked in it.
pub fn fork() -> io::Result<Forked> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with threads is not forked"));
    }
    // SAFETY: there is one thread, so the child may do whatever this could.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => Ok(Forked::Child),
        ForkResult::Parent { child } => Ok(Forked::Parent(
            Pid::new(child.as_raw()).expect("fork returns a positive number"),
        )),
    }
}

/// The same, but the new process is no child of this one: its parent is the
/// process that takes in orphans, which is systemd for all that it has started
/// (PR_SET_CHILD_SUBREAPER of prctl(2)). Its exit status is not for this process.
pub fn fork_orphan() -> io::Result<Forked> {
    let (told, tell) = super::fd::pipe()?;
    let takes_in = super::session::takes_in_orphans()?;
    super::session::take_in_orphans(false)?;
    let forked = fork_twice(&told, tell);
    super::session::take_in_orphans(takes_in)?;
    forked
}

fn fork_twice(told: &OwnedFd, tell: OwnedFd) -> io::Result<Forked> {
    match fork()? {
        Forked::Child => match fork() {
            Ok(Forked::Child) => Ok(Forked::Child),
            Ok(Forked::Parent(pid)) => {
                // With its parent gone, the new process goes to its last parent.
                let told = super::fd::write(&tell, &pid.raw().to_ne_bytes());
                std::process::exit(i32::from(told.is_err()))
            }
            Err(_) => std::process::exit(1),
        },
        Forked::Parent(middle) => {
            drop(tell);
            nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(middle.raw()), None)?;
            let mut pid = [0; 4];
            let length = super::fd::read(told, &mut pid)?;
            let pid = Pid::new(i32::from_ne_bytes(pid)).filter(|_| length == 4);
            let no_child = || io::Error::other("the second fork failed");
            Ok(Forked::Parent(pid.ok_or_else(no_child)?))
        }
    }
}

/// Executes a program in the place of this one. It returns only when that
/// failed, and says why. The environment is that of this process, with
/// these variables set.
pub fn replace(program: &OsStr, args: &[impl AsRef<OsStr>], with: &[(&str, String)]) -> io::Error {
    let text = |bytes: &[u8]| CString::new(bytes);
    let attempt = || -> io::Result<()> {
        let program = text(program.as_bytes())?;
        let args = args.iter().map(|arg| text(arg.as_ref().as_bytes()));
        let args: Vec<CString> = args.collect::<Result<_, _>>()?;
        let kept = std::env::vars_os()
            .filter(|(name, _)| !with.iter().any(|(other, _)| OsStr::new(other) == name));
        let mut environment = Vec::new();
        for (name, value) in kept {
            environment.push(text(&[name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        for (name, value) in with {
            environment.push(text(format!("{name}={value}").as_bytes())?);
        }
        nix::unistd::execve(&program, &args, &environment)?;
        Ok(())
    };
    attempt().expect_err("exec returns only when it failed")
}

/// A descriptor that stays open across exec: it is written as its number, and reading that adopts it.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "RawFd")]
pub struct Descriptor(OwnedFd);

impl TryFrom<RawFd> for Descriptor {
    type Error = io::Error;

    fn try_from(number: RawFd) -> io::Result<Descriptor> {
        super::fd::adopt(number).map(Descriptor)
    }
}

impl serde::Serialize for Descriptor {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.as_raw_fd().serialize(to)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Descriptor {
        Descriptor(fd)
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(descriptor: Descriptor) -> OwnedFd {
        descriptor.0
    }
}

/// A memfd that holds this text.
pub fn memfd(text: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("handover", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text)?;
    Ok(file.into())
}

/// The text of a memfd, from its beginning.
pub fn read_memfd(memfd: &impl AsFd) -> io::Result<String> {
    let mut file = File::from(super::fd::duplicate(memfd)?);
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memfd_is_read_as_often_as_one_likes() {
        let memfd = memfd(b"one\ntwo").unwrap();
        assert_eq!(read_memfd(&memfd).unwrap(), "one\ntwo");
        assert_eq!(read_memfd(&memfd).unwrap(), "one\ntwo");
    }

    #[test]
    fn what_cannot_be_executed_is_said() {
        let error = replace(OsStr::new("/proc/none"), &["x"], &[]);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
