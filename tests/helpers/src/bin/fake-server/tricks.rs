//! Tricks that no server should do: hide, go away without ending, and say no end of things.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};

use crate::settings::Settings;
use crate::{Invocation, record};

/// The environment variable that holds the call, in lines, of a server that has renamed itself.
const RENAMED: &str = "FAKE_SERVER_RENAMED";

/// The environment variable of a server that has daemonised itself already.
const DAEMON: &str = "FAKE_SERVER_DAEMON";

/// The command line of a server before it took another command line.
pub fn call_before_it_was_renamed() -> Option<Invocation> {
    let text = std::env::var(RENAMED).ok()?;
    let mut lines = text.lines().map(str::to_owned);
    Some(Invocation {
        name: lines.next()?,
        args: lines.collect(),
    })
}

/// Hides, if the settings want it. It never comes back from some of it.
pub fn play(call: &Invocation, settings: &Settings) {
    if settings.close_all {
        close_all();
    }
    if settings.daemonise && std::env::var_os(DAEMON).is_none() {
        daemonise();
    }
    if let Some(title) = &settings.retitle
        && std::env::var_os(RENAMED).is_none()
    {
        rename(call, title);
    }
    if let Some(title) = &settings.retitle {
        let name = std::ffi::CString::new(title.as_bytes()).expect("a title has no NUL");
        nix::sys::prctl::set_name(&name).expect("a process may rename itself");
    }
}

/// Closes what it knows of and what it does not.
fn close_all() {
    let list = std::fs::read_dir("/proc/self/fd").expect("/proc is there");
    let numbers: Vec<i32> = list
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers {
        // The descriptor of this very listing is closed by now.
        let _ = nix::unistd::close(number);
    }
}

/// Starts itself once more, under the same command line, as a child that outlives it.
fn daemonise() -> ! {
    let mut args = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(args.next().expect("a name"))
        .args(args)
        .env(DAEMON, "1");
    let child = command.spawn().expect("a child can be started");
    // A test that waits for the server's end may end the sandbox at once.
    record::enter(child.id());
    exit(0)
}

/// Goes on under another command line: what /proc shows of it is the same as after setproctitle(3),
/// which writes into the memory of the old one.
fn rename(call: &Invocation, title: &str) -> ! {
    let mut lines = vec![call.name.clone()];
    lines.extend(call.args.iter().cloned());
    let error = Command::new("/proc/self/exe")
        .arg0(title)
        .env(RENAMED, lines.join("\n"))
        .exec();
    panic!("it cannot execute itself: {error}");
}

/// Says this many bytes, until its reader is gone.
pub fn flood(bytes: u64) {
    let piece = [b'x'; 1 << 16];
    let mut left = bytes;
    let mut stdout = std::io::stdout().lock();
    while left > 0 {
        let length = piece
            .len()
            .min(usize::try_from(left).unwrap_or(piece.len()));
        if stdout.write_all(&piece[..length]).is_err() {
            return;
        }
        left -= length as u64;
    }
    let _ = stdout.flush();
}
