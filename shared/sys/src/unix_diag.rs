//! Owners and files of Unix sockets, as the kernel knows them (sock_diag(7)).

use super::sock_diag::{BY_FAMILY, HEADER, Request};
use std::io;

/// `UDIAG_SHOW_UID` in linux/unix_diag.h (Linux 5.3).
const SHOW_UID: u32 = 0x40;
/// `UNIX_DIAG_UID` there.
const UID: u16 = 7;
/// `UDIAG_SHOW_VFS` there.
const SHOW_VFS: u32 = 0x2;
/// `UNIX_DIAG_VFS` there.
const VFS: u16 = 1;
/// The size of `unix_diag_msg`.
const ANSWER: usize = 16;

/// The user who made the Unix socket with that inode, as seen from this
/// process's user namespace. The process that holds the socket may be another,
/// or hidden. An error where the kernel or a filter knows no such question.
pub fn owner(inode: u32) -> io::Result<u32> {
    number(inode, SHOW_UID, UID)?
        .ok_or_else(|| io::Error::other("the kernel does not say whose the socket is"))
}

/// The inode of the file to which the Unix socket with that inode is bound, cut to 32 bits.
pub fn file(inode: u32) -> io::Result<u32> {
    number(inode, SHOW_VFS, VFS)?
        .ok_or_else(|| io::Error::other("the kernel does not say where the socket is bound"))
}

/// Asks for an attribute of a socket, and takes the number with which it begins.
fn number(inode: u32, show: u32, attribute: u16) -> io::Result<Option<u32>> {
    let mut buffer = [0; 1024];
    let length = Request::ask(0, &request(inode, show))?.read(&mut buffer)?;
    Ok(value(&buffer[..length], attribute))
}

/// `unix_diag_req`.
fn request(inode: u32, show: u32) -> Vec<u8> {
    let any_state = u32::MAX;
    let no_cookie = u32::MAX;
    let mut out = vec![libc::AF_UNIX as u8, 0, 0, 0];
    let rest = [any_state, inode, show, no_cookie, no_cookie];
    out.extend(rest.map(u32::to_ne_bytes).concat());
    out
}

/// The number with which the value of an attribute begins.
fn value(answer: &[u8], attribute: u16) -> Option<u32> {
    let word = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    if word(4)? != BY_FAMILY {
        return None;
    }
    let mut at = HEADER + ANSWER;
    loop {
        let (length, kind) = (usize::from(word(at)?), word(at + 2)?);
        if kind == attribute {
            let value = answer.get(at + 4..at + 8)?;
            return Some(u32::from_ne_bytes(value.try_into().ok()?));
        }
        // Attributes begin at multiples of four; an empty one has a header.
        at += length.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn the_maker_of_a_socket_is_known() {
        let socket = UnixDatagram::unbound().unwrap();
        nix::sys::socket::bind(
            socket.as_raw_fd(),
            &nix::sys::socket::UnixAddr::new_unnamed(),
        )
        .unwrap();
        let inode = std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd()));
        let inode = u32::try_from(inode.unwrap().ino()).unwrap();
        assert_eq!(owner(inode).unwrap(), nix::unistd::geteuid().as_raw());
        assert!(owner(u32::MAX - 1).is_err());
    }

    #[test]
    fn an_answer_that_is_cut_says_nothing() {
        let mut answer = vec![0; HEADER + ANSWER];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        assert_eq!(value(&answer, UID), None);
        answer.extend([[5, 0, 6, 0], [1, 0, 0, 0], [8, 0, 7, 0]].concat());
        assert_eq!(value(&answer, UID), None);
        answer.extend(7u32.to_ne_bytes());
        assert_eq!(value(&answer, UID), Some(7));
        answer[4] = 2;
        assert_eq!(value(&answer, UID), None);
    }
}
