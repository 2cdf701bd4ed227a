//! The first process of a test's pid namespace: switches the loopback interface on, says `ready`, reaps
//! what is left to it, and ends, which ends the namespace, when its input ends.
#![forbid(unsafe_code)]

use std::io::{Error, Read, Result, Write};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

fn main() {
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().expect("a signal can be blocked");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    loopback_up().expect("the loopback interface of a namespace can be switched on");
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready").expect("the test reads this");
    loop {
        children.wait().expect("the set is valid");
        while !matches!(
            waitpid(None, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD)
        ) {}
    }
}

/// Switches the namespace's loopback interface on, by a message of rtnetlink(7).
fn loopback_up() -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLMSG_ERROR: u16 = 2;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    const LOOPBACK: i32 = 1;
    let mut message = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, sender.
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family, type, index, flags, which of them change.
    message.extend([0; 4]);
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());

    let kernel = NetlinkAddr::new(0, 0);
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    sendto(netlink.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // The answer is an error message, whose number is 0 when there was none.
    let (kind, number) = (&answer[4..6], &answer[16..20]);
    if length >= 20 && kind == NLMSG_ERROR.to_ne_bytes() && number == [0; 4] {
        return Ok(());
    }
    let number = i32::from_ne_bytes(number.try_into().expect("four bytes"));
    Err(Error::from_raw_os_error(-number))
}
