use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::select::{FdSet, select};

use super::*;

/// Looks at this process until that is seen.
fn until(expected: Look, sockets: &[Socket]) {
    let end = Instant::now() + Duration::from_secs(60);
    while look(Pid::own(), sockets) != expected {
        assert!(Instant::now() < end, "not seen: {expected:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

const NOT_AWAITED: Look = Look::NotSeen(0, Cause::NotAwaited);

/// Has a thread wait for a connection in this way, until that is seen, and connects.
fn seen(expected: Look, wait: impl FnOnce(&TcpListener) + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = [Socket::of(&listener).unwrap()];
    let address = listener.local_addr().unwrap();
    until(NOT_AWAITED, &sockets);
    let thread = std::thread::spawn(move || wait(&listener));
    until(expected, &sockets);
    let _client = TcpStream::connect(address).unwrap();
    thread.join().unwrap();
}

fn epoll_of(listener: &TcpListener, flags: EpollFlags) -> Epoll {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(listener, EpollEvent::new(flags, 0)).unwrap();
    epoll
}

fn wait_on(epoll: &Epoll) {
    let mut events = [EpollEvent::empty()];
    epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
}

#[test]
fn a_blocked_accept_is_seen() {
    seen(Look::Accepting, |one| drop(one.accept().unwrap()));
}

#[test]
fn poll_for_input_is_seen() {
    seen(Look::Accepting, |one| {
        let mut fds = [PollFd::new(one.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
    });
}

#[test]
fn select_for_input_is_seen() {
    seen(Look::Accepting, |one| {
        let mut fds = FdSet::new();
        fds.insert(one.as_fd());
        select(None, &mut fds, None, None, None).unwrap();
    });
}

#[test]
fn a_level_triggered_epoll_is_seen() {
    seen(Look::Accepting, |one| {
        wait_on(&epoll_of(one, EpollFlags::EPOLLIN))
    });
}

/// A copy of the descriptor, closed where it was first registered, is the same socket.
#[test]
fn a_copy_of_the_descriptor_is_the_same_socket() {
    seen(Look::Accepting, |one| {
        let copy = one.try_clone().unwrap();
        let epoll = epoll_of(&copy, EpollFlags::EPOLLIN);
        drop(copy);
        wait_on(&epoll);
    });
}

#[test]
fn an_edge_triggered_epoll_is_no_proof() {
    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
    let expected = Look::EdgeTriggered(0);
    seen(expected, move |one| wait_on(&epoll_of(one, flags)));
}

/// A process may be stopped with any arguments in its registers.
#[test]
fn memory_that_wraps_around_is_an_error() {
    let thread = Thread(format!("/proc/self/task/{}", nix::unistd::gettid()).into());
    for (address, length) in [
        (u64::MAX, 1),
        (u64::MAX - 7, 16),
        (u64::MAX - 4096, 4096),
        (0, 0),
    ] {
        assert!(
            thread.memory(address, length).is_err(),
            "{address:x}, {length}"
        );
    }
}

/// As a server does that listens and then loads what it serves.
#[test]
fn a_registered_socket_that_no_thread_waits_for_is_no_proof() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = [Socket::of(&listener).unwrap()];
    let _epoll = epoll_of(&listener, EpollFlags::EPOLLIN);
    let (end, ended) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || ended.recv());
    until(NOT_AWAITED, &sockets);
    drop(end);
    let _ = thread.join().unwrap();
}

#[test]
fn every_socket_has_to_be_awaited() {
    let both = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let sockets = [0, 1].map(|at| Socket::of(&both[at]).unwrap());
    let addresses = [0, 1].map(|at| both[at].local_addr().unwrap());
    let accept = |one: &TcpListener| {
        let one = one.try_clone().unwrap();
        std::thread::spawn(move || drop(one.accept().unwrap()))
    };
    let first = accept(&both[0]);
    until(Look::NotSeen(1, Cause::NotAwaited), &sockets);
    let second = accept(&both[1]);
    until(Look::Accepting, &sockets);
    let _clients = addresses.map(|address| TcpStream::connect(address).unwrap());
    first.join().unwrap();
    second.join().unwrap();
}

/// A child of a child, as gunicorn's workers are under a shell. It ends with its socket's last client.
#[test]
fn descendants_are_examined() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = [Socket::of(&listener).unwrap()];
    let address = listener.local_addr().unwrap();
    let script = "import socket; socket.socket(fileno=0).accept()";
    let mut child = std::process::Command::new("sh")
        .args(["-c", "python3 -c \"$0\"; :", script])
        .stdin(OwnedFd::from(listener))
        .spawn()
        .unwrap();
    until(Look::Accepting, &sockets);
    let _client = TcpStream::connect(address).unwrap();
    child.wait().unwrap();
}

#[test]
fn a_process_that_is_gone_is_not_seen() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = Pid::new(child.id() as i32).unwrap();
    child.wait().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = [Socket::of(&listener).unwrap()];
    assert!(matches!(look(pid, &sockets), Look::NotSeen(0, _)));
}

#[test]
fn a_look_at_more_threads_than_are_examined_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = [Socket::of(&listener).unwrap()];
    let script = "import sys, threading\n\
        for _ in range(1030): threading.Thread(target=threading.Event().wait, daemon=True).start()\n\
        print(flush=True)\nsys.stdin.read()";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0];
    child.stdout.take().unwrap().read_exact(&mut said).unwrap();
    let pid = Pid::new(child.id() as i32).unwrap();
    let found = look(pid, &sockets);
    assert_eq!(found, Look::NotSeen(0, Cause::TooManyThreads));
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn calls_are_read() {
    let call = |text: &str| SystemCall::parse(text).map(|call| call.waits_for());
    assert_eq!(call("running\n"), None);
    assert_eq!(call("-1 0x7ffc00000000 0x7f0000000000\n"), None);
    assert_eq!(call(""), None);
    let line = |number: libc::c_long, first: &str, stack: &str| {
        format!("{number} {first} 0x1000 0x0 0x0 0x0 0x0 {stack} 0x7f0000000000\n")
    };
    let accept = line(libc::SYS_accept4, "0xffffffff00000003", "0x7ffc00000000");
    assert_eq!(call(&accept), Some(Wait::Accept(3)));
    // A program of 32 bits, whose calls have other numbers.
    let narrow = line(libc::SYS_accept4, "0x3", "0xfffd0000");
    assert_eq!(call(&narrow), Some(Wait::Opaque));
    let many = line(libc::SYS_pselect6, "0x10000", "0x7ffc00000000");
    assert_eq!(call(&many), Some(Wait::Nothing));
}

#[test]
fn an_inode_of_another_device_is_another_socket() {
    let text =
        "pos:\t0\ntfd:        7 events:       19 data:                7 pos:0 ino:1f sdev:9\n";
    let of = |inode, device| registered(text, Socket { inode, device });
    assert_eq!(of(0x1f, 9), Awaited::LevelTriggered);
    assert_eq!(of(0x1f, 8), Awaited::Not);
    assert_eq!(of(0x7, 9), Awaited::Not);
    // Fired once and not armed again (EPOLLONESHOT): no event is awaited.
    let fired = text.replace("      19", "40000000");
    assert_eq!(
        registered(
            &fired,
            Socket {
                inode: 0x1f,
                device: 9
            }
        ),
        Awaited::Not
    );
}
