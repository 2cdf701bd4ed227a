//! A Swift server as small as a server can be, which behaves as its configuration file says.
//!
//! `fake-server CONF [once] [verbose] [--test-config]`, by whatever name it is called. Without any
//! setting it behaves as a main server of Swift: it makes a session of its own, closes its outputs
//! when it is ready, TERM ends it and its group, HUP ends it, USR1 reloads it. `once` makes it exit
//! with 0 after one pass. The settings are described in `settings.rs`.
//!
//! A script of two lines leads to it too: an interpreter's first argument is the script's path, so
//! `fake-server /path/swift-object-server CONF` takes its first argument for its name.
#![forbid(unsafe_code)]

mod notify;
mod record;
mod settings;
mod tricks;
mod workers;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, getpid, setpgid, setsid};

use settings::{Reload, Settings};
use workers::Workers;

/// The name that the server was called by, and its arguments.
struct Invocation {
    /// The basename that it goes by, such as `swift-object-server`.
    name: String,
    /// Its arguments, the configuration first.
    args: Vec<String>,
}

fn main() {
    let call = tricks::call_before_it_was_renamed().unwrap_or_else(call);
    let conf = call.args.first().map_or("", String::as_str);
    let settings = Settings::read(Path::new(conf), &call.name);
    if std::env::var_os(workers::MARK).is_some() {
        workers::work(&settings);
    }
    if call.has("--test-config") {
        check(&call, &settings);
    }
    record::enter_into_book();
    if let Some(file) = &settings.record {
        record::write(file, &call);
    }
    serve(&call, settings);
}

/// The options of the command line.
fn call() -> Invocation {
    let mut args: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let is_script = |arg: &String| base(arg).starts_with("swift-") && arg.contains('/');
    if args.len() > 1 && !base(&args[0]).starts_with("swift-") && is_script(&args[1]) {
        args.remove(0);
    }
    Invocation {
        name: base(&args.remove(0)).to_owned(),
        args,
    }
}

impl Invocation {
    fn has(&self, arg: &str) -> bool {
        self.args.iter().skip(1).any(|own| own == arg)
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `CONF --test-config`: says and gives what the settings want.
fn check(call: &Invocation, settings: &Settings) -> ! {
    if let Some(file) = &settings.check_record {
        record::write(file, call);
    }
    wait_for(settings.check_after.as_deref());
    say(&settings.check_print);
    tricks::flood(settings.check_flood);
    std::process::exit(settings.check_exit);
}

/// Becomes a process as the settings say, and prints what a start prints.
fn start(call: &Invocation, settings: &Settings) {
    tricks::play(call, settings);
    if !settings.no_setsid {
        // Fails only when it leads a session already.
        let _ = setsid();
    }
    if settings.regroup {
        // Fails only when it leads a session.
        let _ = setpgid(getpid(), getpid());
    }
    if let Some(user) = settings.user {
        nix::unistd::setuid(user.into()).expect("root may become any user");
    }
    settings
        .ignore
        .thread_block()
        .expect("signals can be blocked");
    say(&settings.print);
    complain(&settings.print_error);
    tricks::flood(settings.flood);
    if settings.hold_output {
        workers::hold_output(settings.own_group);
    }
    wait_for(settings.ready_after.as_deref());
    let end_early = !settings.exit_late;
    if end_early {
        end_as_set(settings);
    }
    if call.has("once") {
        std::process::exit(settings.once_exit);
    }
}

fn serve(call: &Invocation, mut settings: Settings) -> ! {
    start(call, &settings);
    let mut handled = settings.ignore;
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
        handled.add(signal);
    }
    if settings.reload != Reload::Default {
        handled.add(Signal::SIGUSR1);
    }
    handled.thread_block().expect("signals can be blocked");
    // A process that waits for a signal by sigwait shows it as not blocked meanwhile, so that it would
    // look as if the signal killed it.
    let inbox = SignalFd::with_flags(&handled, SfdFlags::SFD_CLOEXEC).expect("a signalfd");
    notify::send("READY=1");
    // One that has closed all of it has other things where its outputs were.
    let keeps_output = settings.never_close || settings.close_all || call.has("verbose");
    if !keeps_output {
        close_outputs();
    }
    // As with Swift's own, the workers come when the outputs are closed, so they never hold them.
    let mut workers = Workers::start(call, settings.workers);
    end_as_set(&settings);
    notify_fifo(settings.tell.as_deref());
    loop {
        let info = inbox.read_signal().expect("signals can be read");
        let Some(signal) = info.and_then(|info| Signal::try_from(info.ssi_signo as i32).ok())
        else {
            continue;
        };
        if settings.ignore.contains(signal) {
            continue;
        }
        match signal {
            Signal::SIGCHLD => workers.replace(call, &reap()),
            Signal::SIGUSR1 => {
                reload(&settings);
                settings = Settings::read(Path::new(&call.args[0]), &call.name);
                workers.renew(call, settings.workers);
            }
            Signal::SIGTERM => {
                if getpgrp() == getpid() {
                    let _ = killpg(getpgrp(), Signal::SIGTERM);
                }
                std::process::exit(0);
            }
            _ => std::process::exit(0),
        }
    }
}

/// The workers that ended.
fn reap() -> Vec<Pid> {
    let ended = || match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) | Err(_) => None,
        Ok(status) => status.pid(),
    };
    std::iter::from_fn(ended).collect()
}

fn reload(settings: &Settings) {
    match settings.reload {
        Reload::Silent | Reload::Default => {}
        Reload::Die => die_by(Signal::SIGKILL),
        Reload::Ok | Reload::Fail => {
            notify::send("RELOADING=1");
            wait_for(settings.reload_after.as_deref());
            if settings.reload == Reload::Fail {
                std::process::exit(1);
            }
            notify::send("READY=1");
        }
    }
}

fn end_as_set(settings: &Settings) {
    if let Some(signal) = settings.die_by {
        die_by(signal);
    }
    if let Some(status) = settings.exit {
        std::process::exit(status);
    }
}

fn die_by(signal: Signal) {
    let mut this = SigSet::empty();
    this.add(signal);
    this.thread_unblock().expect("signals can be unblocked");
    kill(getpid(), signal).expect("a process may signal itself");
}

fn close_outputs() {
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .expect("/dev/null opens");
    nix::unistd::dup2_stdin(&null).expect("descriptor 0 can be replaced");
    nix::unistd::dup2_stdout(&null).expect("descriptor 1 can be replaced");
    nix::unistd::dup2_stderr(&null).expect("descriptor 2 can be replaced");
}

fn say(text: &[u8]) {
    let mut stdout = std::io::stdout();
    // A server does not care whether anybody listens.
    let _ = stdout.write_all(text).and_then(|()| stdout.flush());
}

fn complain(text: &[u8]) {
    let _ = std::io::stderr().write_all(text);
}

/// Waits until a process opens this fifo for writing.
fn wait_for(fifo: Option<&Path>) {
    if let Some(fifo) = fifo {
        let _ = File::open(fifo);
    }
}

/// Waits until a process opens this fifo for reading.
fn notify_fifo(fifo: Option<&Path>) {
    if let Some(fifo) = fifo {
        let _ = OpenOptions::new().write(true).open(fifo);
    }
}
