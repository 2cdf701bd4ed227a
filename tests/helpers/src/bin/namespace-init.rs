//! The first process of a test's pid namespace: says `ready`, reaps what is left to it, and ends,
//! which ends the namespace, when its input ends.
#![forbid(unsafe_code)]

use std::io::{Read, Write};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

fn main() {
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().expect("a signal can be blocked");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
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
