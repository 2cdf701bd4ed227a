//! The surroundings that a server was started with, as lines that a test can compare.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getpid, getsid};

use crate::Invocation;

/// Enters this process into the sandbox's book, so that the test can end it.
pub fn enter_into_book() {
    enter(std::process::id());
}

/// Enters a process, by pid and start time, into the sandbox's book if there is one.
pub fn enter(pid: u32) {
    let Some(book) = std::env::var_os("FAKE_SERVER_PIDS") else {
        return;
    };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let start = fields.split_whitespace().nth(19).unwrap_or("-");
    // The sandbox made it. When it is gone, the test is over, and nothing must come back.
    append(
        OpenOptions::new().append(true).open(book),
        &format!("{pid} {start}\n"),
    );
}

/// Appends to `file`: arguments, chosen environment, directory, umask, session, signals, descriptors
/// and limits. In one write, so that servers that start together do not mix their lines.
pub fn write(file: &Path, call: &Invocation) {
    let mut text = String::new();
    line(&mut text, "name", &call.name);
    line(&mut text, "args", &call.args.join(" "));
    for name in ["PYTHON_EGG_CACHE", "NOTIFY_SOCKET"] {
        let value = std::env::var(name).unwrap_or_else(|_| "-".to_owned());
        line(&mut text, name, &value);
    }
    let directory = std::env::current_dir().unwrap_or_default();
    line(&mut text, "directory", &directory.display().to_string());
    let mask = umask(Mode::empty());
    umask(mask);
    line(&mut text, "umask", &format!("{:03o}", mask.bits()));
    let leads = getsid(None) == Ok(getpid());
    line(
        &mut text,
        "session",
        if leads { "its own" } else { "inherited" },
    );
    signals(&mut text);
    descriptors(&mut text);
    for (name, resource) in [
        ("files", Resource::RLIMIT_NOFILE),
        ("data", Resource::RLIMIT_DATA),
        ("processes", Resource::RLIMIT_NPROC),
    ] {
        let (soft, hard) = getrlimit(resource).expect("a limit can be read");
        line(&mut text, name, &format!("{soft} {hard}"));
    }
    let opened = OpenOptions::new().create(true).append(true).open(file);
    append(opened, &text);
}

fn line(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{name}: {value}").expect("a string can be written");
}

/// The masks of /proc/self/status, for the 31 standard signals: the others depend on what the test
/// itself inherited. SIGPIPE is taken out of what is ignored, unless a script that leads here has
/// looked: Rust's runtime ignores it before main.
fn signals(text: &mut String) {
    const SIGPIPE: u64 = 1 << 12;
    const STANDARD: u64 = (1 << 31) - 1;
    let (status, own) = match std::env::var("FAKE_SERVER_SIGNALS") {
        Ok(seen) => (seen, 0),
        Err(_) => (
            fs::read_to_string("/proc/self/status").unwrap_or_default(),
            SIGPIPE,
        ),
    };
    for name in ["SigBlk", "SigIgn"] {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let mask = u64::from_str_radix(mask.unwrap_or("0").trim(), 16).expect("a mask");
        line(text, name, &format!("{:x}", mask & STANDARD & !own));
    }
}

/// The open descriptors and what they lead to; of a pipe or a socket only that it is one.
fn descriptors(text: &mut String) {
    let list = fs::read_dir("/proc/self/fd").expect("/proc is there");
    let mut numbers: Vec<u32> = list
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    for number in numbers {
        // The descriptor of this very listing is closed by now.
        let Ok(target) = fs::read_link(format!("/proc/self/fd/{number}")) else {
            continue;
        };
        let target = target.display().to_string();
        let target = target
            .split_once(":[")
            .map_or(target.as_str(), |(kind, _)| kind);
        line(text, &format!("descriptor {number}"), target);
    }
}

/// One write, which may fail.
fn append(opened: std::io::Result<File>, text: &str) {
    if let Ok(mut file) = opened {
        let _ = file.write_all(text.as_bytes());
    }
}
