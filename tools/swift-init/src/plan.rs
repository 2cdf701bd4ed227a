//! The tools that a command calls, and with which options.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use swift_cli::SwiftDir;
use swift_records::catalogue::{Catalogue, Server};

use crate::options::{Command, Options};

/// A tool and its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    /// The tool.
    pub name: &'static str,
    /// Its arguments without its own name.
    pub args: Vec<OsString>,
    /// Whether its rows are of use when it says that some may be missing: to
    /// whoever only looks.
    pub partial: bool,
}

impl Call {
    /// A tool that looks where this command looks.
    pub fn new(name: &'static str, options: &Options) -> Call {
        let mut call = Call {
            name,
            args: Vec::new(),
            partial: false,
        };
        if options.swift_dir != SwiftDir::default() {
            call.value("--swift-dir", options.swift_dir.as_os_str());
        }
        call
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl Into<OsString>) {
        self.args.push(arg.into());
    }

    /// Adds an option with its value.
    pub fn value(&mut self, option: &str, value: impl AsRef<OsStr>) {
        let mut word = OsString::from(option);
        word.push("=");
        word.push(value);
        self.args.push(word);
    }
}

/// The calls of the observe half for a command.
pub fn observers(options: &Options, catalogue: &Catalogue, servers: &[String]) -> Vec<Call> {
    let mut resolve = Call::new("swift-resolve-servers", options);
    // What is started or stopped by half of the configs may be the wrong half.
    resolve.partial = options.command == Command::Status;
    if let Some(run_dir) = &options.run_dir {
        resolve.value("--run-dir", run_dir.as_os_str());
    }
    if let Some(number) = options.number {
        resolve.value("--config-num", number.to_string());
    }
    // A name that begins with a dash is not to be taken for an option.
    if servers.iter().any(|s| s.starts_with('-')) {
        resolve.arg("--");
    }
    servers.iter().for_each(|server| resolve.arg(server));
    let mut pidfile = Call::new("swift-pidfile", options);
    // Looking removes nothing.
    if options.command != Command::Status {
        pidfile.arg("--clean");
    }
    if matches!(
        options.command,
        Command::Status | Command::Stop | Command::Shutdown | Command::Kill
    ) {
        // What is to end is the server with that config, whichever run of it
        // this is. Before a restart, minutes may pass with checks.
        pidfile.arg("--no-start");
    }
    if !options.force && ends(options, catalogue, servers) {
        pidfile.arg("--owned");
    }
    let mut calls = vec![resolve, pidfile];
    if options.check && checks(options, catalogue, servers) {
        let mut check = Call::new("swift-check-config", options);
        if let Some(timeout) = options.check_timeout {
            check.value("--timeout", seconds(timeout));
        }
        calls.push(check);
    }
    calls
}

/// Whether something may be stopped.
fn ends(options: &Options, catalogue: &Catalogue, servers: &[String]) -> bool {
    match options.command {
        Command::Stop | Command::Shutdown | Command::Kill => true,
        Command::Restart | Command::Reload => true,
        Command::ReloadSeamless => restarts_any(catalogue, servers, |_| true),
        _ => false,
    }
}

/// Whether a seamless reload restarts one of such servers, which knows none.
fn restarts_any(catalogue: &Catalogue, servers: &[String], such: fn(&Server) -> bool) -> bool {
    let selection = catalogue.select(servers.iter().map(String::as_str));
    let mut servers = selection.names.iter().map(|n| catalogue.server(&n.server));
    servers.any(|server| such(&server) && server.seamless.is_none())
}

/// Whether something may be stopped in order to be started again, and can say
/// before whether its config is good. What is reloaded seamlessly is checked by
/// swift-reload.
fn checks(options: &Options, catalogue: &Catalogue, servers: &[String]) -> bool {
    match options.command {
        Command::Restart | Command::Reload => true,
        Command::ReloadSeamless => restarts_any(catalogue, servers, |server| {
            server.check || server.swift.is_some()
        }),
        _ => false,
    }
}

/// A span as an option's value.
pub fn seconds(span: Duration) -> String {
    span.as_secs_f64().to_string()
}

/// True for a command that starts what does not run.
pub fn starts(command: Command) -> bool {
    match command {
        Command::Start | Command::Once | Command::NoWait | Command::NoDaemon => true,
        Command::Restart | Command::Reload => true,
        Command::Status | Command::ReloadSeamless => false,
        Command::Stop | Command::Shutdown | Command::Kill => false,
    }
}

/// The calls of the act half for a command; for a seamless reload, of servers
/// that can, or of those that have to be restarted instead.
pub fn actors(options: &Options, catalogue: &Catalogue, seamless: bool) -> Vec<Call> {
    match options.command {
        Command::Status => vec![],
        Command::Stop | Command::Shutdown | Command::Kill => vec![signal(options, catalogue)],
        Command::ReloadSeamless if seamless => vec![reload(options)],
        Command::ReloadSeamless | Command::Restart | Command::Reload => {
            vec![signal(options, catalogue), spawn(options)]
        }
        Command::Start | Command::Once | Command::NoWait | Command::NoDaemon => {
            vec![spawn(options)]
        }
    }
}

/// The call that ends servers.
pub fn signal(options: &Options, catalogue: &Catalogue) -> Call {
    let mut call = Call::new("swift-signal", options);
    let wait = match options.kill_wait {
        Some(seconds) => seconds.max(0).to_string(),
        None => catalogue.kill_wait.as_secs().to_string(),
    };
    call.value("--wait", wait);
    if options.kill_after_timeout {
        call.arg("--kill");
    }
    call.arg(if options.graceful { "graceful" } else { "stop" });
    call
}

/// The call that starts servers.
pub fn spawn(options: &Options) -> Call {
    let mut call = Call::new("swift-spawn", options);
    if options.once {
        call.arg("--once");
    }
    if options.supervise {
        call.arg("--supervise");
    } else if !options.daemon {
        call.arg("--foreground");
    } else if !options.wait {
        call.arg("--no-wait");
    }
    if let Some(timeout) = options.start_timeout {
        call.value("--start-timeout", seconds(timeout));
    }
    call
}

/// The call that reloads servers under their PIDs.
pub fn reload(options: &Options) -> Call {
    let mut call = Call::new("swift-reload", options);
    if !options.check {
        call.arg("--no-check");
    }
    if let Some(timeout) = options.check_timeout {
        call.value("--check-timeout", seconds(timeout));
    }
    if !options.wait {
        call.arg("--no-wait");
    } else if let Some(timeout) = options.reload_timeout {
        call.value("--timeout", seconds(timeout));
    }
    call
}
