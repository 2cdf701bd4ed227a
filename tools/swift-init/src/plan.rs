//! The tools that a command calls, and with which options.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use swift_cli::SwiftDir;
use swift_records::catalogue::{Catalogue, Server};

use crate::options::{Command, Options};

/// A tool and its arguments.
#[derive(Clone, Debug)]
pub struct ToolCommand {
    /// The tool.
    pub name: &'static str,
    /// Its arguments without its own name.
    pub args: Vec<OsString>,
    /// True when its rows are of use though some may be missing: for a command that only observes.
    pub partial: bool,
}

impl ToolCommand {
    /// A tool that looks where this command looks.
    fn new(name: &'static str, options: &Options) -> ToolCommand {
        let swift_dir = Some(&options.swift_dir).filter(|dir| **dir != SwiftDir::default());
        let mut command = ToolCommand {
            name,
            args: Vec::new(),
            partial: false,
        };
        command.option("--swift-dir", swift_dir.map(|dir| dir.as_os_str()));
        command
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl Into<OsString>) {
        self.args.push(arg.into());
    }

    /// Adds an argument where that is so.
    fn arg_if(&mut self, is_so: bool, arg: &str) {
        if is_so {
            self.arg(arg);
        }
    }

    /// Adds an option with its value.
    pub fn value(&mut self, option: &str, value: impl AsRef<OsStr>) {
        let mut word = OsString::from(option);
        word.push("=");
        word.push(value);
        self.args.push(word);
    }

    /// Adds an option that has a value.
    fn option(&mut self, option: &str, value: Option<impl AsRef<OsStr>>) {
        if let Some(value) = value {
            self.value(option, value);
        }
    }
}

/// The tools of the observe half.
pub fn observers(options: &Options, catalogue: &Catalogue, servers: &[String]) -> Vec<ToolCommand> {
    let command = options.command;
    let mut resolve = ToolCommand::new("swift-resolve-servers", options);
    // What is started or stopped by half of the configs may be the wrong half.
    resolve.partial = command == Command::Status;
    resolve.option("--run-dir", options.run_dir.as_ref());
    resolve.option("--config-num", options.number.map(|n| n.to_string()));
    // A name that begins with a dash is no option.
    resolve.arg_if(servers.iter().any(|s| s.starts_with('-')), "--");
    resolve.args.extend(servers.iter().map(OsString::from));
    let mut pidfile = ToolCommand::new("swift-pidfile", options);
    // Observing removes nothing.
    pidfile.arg_if(command != Command::Status, "--clean");
    // What is to end is the server with that config, whichever run of it this is. Before a restart,
    // minutes may pass with checks.
    let only_stops = command.stops() && !command.restarts();
    pidfile.arg_if(only_stops || command == Command::Status, "--no-start");
    let seamless = command == Command::ReloadSeamless;
    let restarts = seamless && restarts_any(catalogue, servers, |_| true);
    pidfile.arg_if(!options.force && (command.stops() || restarts), "--owned");
    let mut commands = vec![resolve, pidfile];
    if !options.no_check && checks(command, catalogue, servers) {
        let mut check = ToolCommand::new("swift-check-config", options);
        check.option("--timeout", options.check_timeout.map(seconds));
        commands.push(check);
    }
    commands
}

/// True when a seamless reload restarts one of such servers, which knows none.
fn restarts_any(catalogue: &Catalogue, servers: &[String], such: fn(&Server) -> bool) -> bool {
    let selection = catalogue.select(servers.iter().map(String::as_str));
    let mut servers = selection.names.iter().map(|n| catalogue.server(&n.server));
    servers.any(|server| such(&server) && server.seamless.is_none())
}

/// True when a server may be stopped in order to be started again, and its config can be checked
/// before. swift-reload checks what is reloaded seamlessly.
fn checks(command: Command, catalogue: &Catalogue, servers: &[String]) -> bool {
    let can_be_checked = |server: &Server| server.check || server.swift.is_some();
    match command {
        Command::ReloadSeamless => restarts_any(catalogue, servers, can_be_checked),
        _ => command.restarts(),
    }
}

/// A span as an option's value.
fn seconds(span: Duration) -> String {
    span.as_secs_f64().to_string()
}

/// The tools of the act half; for a seamless reload, of servers that can, or of those that have to be
/// restarted instead.
pub fn actors(options: &Options, catalogue: &Catalogue, seamless: bool) -> Vec<ToolCommand> {
    let (stops, starts) = match options.command {
        Command::ReloadSeamless if seamless => return vec![reload(options)],
        Command::ReloadSeamless => (true, true),
        command => (command.stops(), command.starts()),
    };
    let signal = stops.then(|| signal(options, catalogue));
    let spawn = starts.then(|| spawn(options));
    signal.into_iter().chain(spawn).collect()
}

/// The tool that ends servers.
pub fn signal(options: &Options, catalogue: &Catalogue) -> ToolCommand {
    let mut command = ToolCommand::new("swift-signal", options);
    let wait = kill_wait(options, catalogue).as_secs();
    command.value("--wait", wait.to_string());
    command.arg_if(options.kill_after_timeout, "--kill");
    command.arg(if options.graceful { "graceful" } else { "stop" });
    command
}

/// The time that servers get to end.
pub fn kill_wait(options: &Options, catalogue: &Catalogue) -> Duration {
    match options.kill_wait {
        Some(seconds) => Duration::from_secs(seconds.max(0).unsigned_abs()),
        None => catalogue.kill_wait,
    }
}

/// The tool that starts servers.
pub fn spawn(options: &Options) -> ToolCommand {
    let mut command = ToolCommand::new("swift-spawn", options);
    command.arg_if(options.once, "--once");
    if options.supervise {
        command.arg("--supervise");
    } else if options.foreground {
        command.arg("--foreground");
    } else if options.no_wait {
        command.arg("--no-wait");
    }
    command.option("--start-timeout", options.start_timeout.map(seconds));
    command
}

/// The tool that reloads servers under their pids.
pub fn reload(options: &Options) -> ToolCommand {
    let mut command = ToolCommand::new("swift-reload", options);
    command.arg_if(options.no_check, "--no-check");
    command.option("--check-timeout", options.check_timeout.map(seconds));
    command.arg_if(options.no_wait, "--no-wait");
    let timeout = options.reload_timeout.filter(|_| !options.no_wait);
    command.option("--timeout", timeout.map(seconds));
    command
}
