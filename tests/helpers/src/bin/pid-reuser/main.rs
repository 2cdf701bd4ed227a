//! `pid-reuser`: starts and ends processes, and has others take the very numbers of those that went.
//!
//! The program runs in a test's pid namespace and does what the lines on its standard input say. Their words
//! are parted by TABs, and each is answered by one line when it is done:
//!
//! ```text
//! start WORKERS ARG0 ARG...        PID START [WORKER...]    any number
//! take PID WORKERS ARG0 ARG...     PID START [WORKER...]    that number, which must be free
//! free PID                         freed                    killed, with its group, and waited for
//! end PID                          [PID:SIGNAL...]          let go, and every signal that reached it
//! kill PID                         killed                   a process that was not started here
//! pids                             PID...                   all processes there are
//! ```
//!
//! WORKERS is how many workers it has, or the path of a program to be executed. Without a path, the
//! process is this program in the part of a process that does nothing: it goes by any name, has the
//! files open that its arguments name, and leads a session, as servers do (`actor.rs`). All are in the
//! directory `/`.
//!
//! All of them are born with every signal blocked. The kernel keeps what is sent to them as pending,
//! even what they would ignore, so nothing gets lost; and one that KILL reaches does not answer.
//!
//! A number is free when no one has it as a process, a group or a session, and when its owner was
//! waited for. This program is the parent of all that it starts, and their orphans become its
//! children, so it knows when that is so, without looking again and again.
#![forbid(unsafe_code)]

mod actor;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use test_helpers::{LIMIT, pidfd};

/// Where the kernel keeps the number that it gave last in this namespace. The next one that is free
/// after it is given next.
const LAST: &str = "/proc/sys/kernel/ns_last_pid";

/// The attempts to take a pid that another process was quicker to take.
const ATTEMPTS: usize = 100;

fn main() {
    if let Ok(part) = std::env::var(actor::PART) {
        return actor::play(&part);
    }
    SigSet::all()
        .thread_block()
        .expect("signals can be blocked");
    nix::sys::prctl::set_child_subreaper(true).expect("orphans can be asked for");
    std::env::set_current_dir("/").expect("everybody may be there");
    let mut troupe = HashMap::new();
    let mut stdout = std::io::stdout();
    for line in std::io::stdin().lines() {
        let line = line.expect("lines of text");
        let words: Vec<&str> = line.split('\t').collect();
        let answer = match words[..] {
            ["start", part, ref line @ ..] => born(&mut troupe, || begin(part, line)),
            ["take", pid, part, ref line @ ..] => {
                let wanted = number(pid);
                born(&mut troupe, || take(wanted, part, line))
            }
            ["free", pid] => free(&mut troupe, number(pid)),
            ["end", pid] => end(troupe.remove(&number(pid)).expect("it was started here")),
            ["kill", pid] => kill_other(number(pid)),
            ["pids"] => pids(),
            _ => panic!("cannot be understood: {line}"),
        };
        writeln!(stdout, "{answer}").expect("the test reads this");
    }
}

/// A process that was started here, and is not yet waited for.
struct Actor {
    child: Child,
    output: BufReader<ChildStdout>,
    workers: Vec<i32>,
}

fn number(pid: &str) -> i32 {
    pid.parse().expect("a pid")
}

/// Starts a process, waits for its first line or the end of its output, and tells what it is.
fn born(troupe: &mut HashMap<i32, Actor>, start: impl Fn() -> Child) -> String {
    let mut child = start();
    let pid = child.id() as i32;
    let mut output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("lines of text");
    let stat = swift_server::process::Pid::new(pid)
        .and_then(|pid| swift_server::process::stat(pid).ok()?);
    let start = stat.expect("its parent has not waited for it").start;
    let workers: Vec<i32> = line.split_whitespace().map(number).collect();
    let answer = format!("{pid} {start} {}", line.trim());
    let actor = Actor {
        child,
        output,
        workers,
    };
    assert!(troupe.insert(pid, actor).is_none(), "{pid} was not free");
    answer
}

fn begin(part: &str, line: &[&str]) -> Child {
    let (arg0, args) = line.split_first().expect("a program has a name");
    let is_program = part.starts_with('/');
    let mut command = Command::new(if is_program { part } else { "/proc/self/exe" });
    if !is_program {
        command.env(actor::PART, part);
    }
    command
        .arg0(arg0)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started")
}

/// Starts a process that has this very number.
fn take(wanted: i32, part: &str, line: &[&str]) -> Child {
    for _ in 0..ATTEMPTS {
        fs::write(LAST, (wanted - 1).to_string()).expect("the last pid can be set");
        let mut child = begin(part, line);
        if child.id() as i32 == wanted {
            return child;
        }
        child.kill().expect("a child may be killed");
        child.wait().expect("a child can be waited for");
    }
    panic!("{wanted} is not free");
}

/// Kills a process and all of its group, and waits for all of them; or a worker alone, for which its
/// parent waits. Their numbers are free when this returns.
fn free(troupe: &mut HashMap<i32, Actor>, pid: i32) -> String {
    if let Some(parent) = troupe
        .values_mut()
        .find(|actor| actor.workers.contains(&pid))
    {
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it was not waited for");
        let input = parent.child.stdin.as_mut().expect("its input is a pipe");
        writeln!(input, "{pid}").expect("it reads this");
        let mut line = String::new();
        parent.output.read_line(&mut line).expect("lines of text");
        parent.workers.retain(|worker| *worker != pid);
        return "freed".to_owned();
    }
    let actor = troupe.get_mut(&pid).expect("it was started here");
    // It may have ended by itself, and lead no group.
    let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    actor.child.kill().expect("a child may be killed");
    reap(actor);
    troupe.remove(&pid);
    "freed".to_owned()
}

/// Waits for a process, then for those of its group, which become this program's children.
fn reap(actor: &mut Actor) -> Option<i32> {
    let status = actor.child.wait().expect("a child can be waited for");
    let group = Pid::from_raw(-(actor.child.id() as i32));
    while waitpid(group, None) != Err(Errno::ECHILD) {}
    status.signal()
}

/// Lets a process go, and tells which signals it and its workers got meanwhile.
fn end(mut actor: Actor) -> String {
    let mut output = String::new();
    drop(actor.child.stdin.take());
    actor
        .output
        .read_to_string(&mut output)
        .expect("lines of text");
    let pid = actor.child.id();
    match reap(&mut actor) {
        Some(signal) => format!("{} {pid}:{signal}", output.trim()),
        None => output.trim().to_owned(),
    }
}

/// Kills a process that another process started and still has to wait for, and waits for its end.
fn kill_other(pid: i32) -> String {
    // It may have ended, and been waited for, before.
    if let Some(process) = pidfd::open(pid) {
        pidfd::kill(&process);
        assert!(pidfd::readable_within(&process, LIMIT), "it stays");
    }
    "killed".to_owned()
}

fn pids() -> String {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut pids: Vec<i32> = names.filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    let texts: Vec<String> = pids.iter().map(i32::to_string).collect();
    texts.join(" ")
}
