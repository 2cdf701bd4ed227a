//! `signal-when FIFO SIGNAL process|group COMMAND [ARGUMENT...]`
//!
//! Runs the command in a process group of its own and with default dispositions, as a terminal's
//! shell does, even when the tests themselves run where SIGINT is ignored. When a process opens
//! FIFO for writing, sends SIGNAL to the command, or to all of its group as Ctrl-C does. Ends as the
//! command ends.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, exit};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [fifo, signal, whom, line @ ..] = &args[..] else {
        panic!("usage: signal-when FIFO SIGNAL process|group COMMAND [ARGUMENT...]");
    };
    let signal: Signal = format!("SIG{signal}").parse().expect("a signal");
    let mut command = Command::new("env");
    let mut child = command
        .arg("--default-signal")
        .args(line)
        .process_group(0)
        .spawn()
        .expect("the command can be run");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    File::open(fifo).expect("the fifo can be opened");
    // The child is not yet waited for, so the pid is its own.
    let sent = if whom == "group" {
        killpg(pid, signal)
    } else {
        kill(pid, signal)
    };
    sent.expect("a child may be signalled");
    let status = child.wait().expect("a child can be waited for");
    exit(
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
    );
}
