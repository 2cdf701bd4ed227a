//! The observe half: what could run, what does, and whether it may be restarted.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use shared::catalogue::{Catalogue, Server};
use shared::row::Row;
use shared::stream::Decoder;
use shared::watch::Watch;

use crate::options::{Command, Options, TOOL};
use crate::progress::Progress;
use crate::stage::{self, Call, Stage};

/// The calls of the observe half for a command.
pub fn calls(options: &Options, catalogue: &Catalogue, servers: &[String]) -> Vec<Call> {
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

/// Runs the observe half to its end and returns its rows. When that takes long,
/// `progress` says so.
pub fn run(
    options: &Options,
    catalogue: &Catalogue,
    mut progress: Progress,
) -> anyhow::Result<Vec<Row>> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut input = None;
    let calls = calls(options, catalogue, &options.servers);
    let checks = calls.iter().any(|call| call.name == "swift-check-config");
    let what = if checks { "config checks" } else { "what runs" };
    for mut call in calls {
        // In front of the operands, which `--` may precede.
        call.args.insert(0, "--quiet".into());
        let (stage, output) = stage::start(&call, input.take(), &[])?;
        stages.push(stage);
        input = Some(output);
    }
    let output = input.expect("there are calls");
    let mut decoder = Decoder::default();
    let (mut rows, mut bad) = (Vec::new(), None);
    loop {
        await_input(&output, &mut progress, what)?;
        if decoder.fill(&output)? == 0 {
            break;
        }
        while let Some(row) = decoder.next_row() {
            match row {
                Ok(row) => rows.push(row),
                Err(line) => drop(bad.get_or_insert(line)),
            }
        }
    }
    progress.clear();
    let bad = bad.or_else(|| decoder.finish());
    if let (Some(bad), Some(last)) = (&bad, stages.last()) {
        TOOL.say(&format!("{}: {bad}", last.name));
    }
    // Each of them is told of that could not do its job.
    let failed = stages.into_iter().map(Stage::finish);
    let failed = failed.filter(|sound| !sound).count();
    if failed == 0 && bad.is_none() {
        Ok(rows)
    } else {
        anyhow::bail!("cannot tell what runs, so nothing is done")
    }
}

/// Waits for something to read as long as there is anybody to tell of the wait.
fn await_input(output: &OwnedFd, progress: &mut Progress, what: &str) -> anyhow::Result<()> {
    if progress.until().is_none() {
        return Ok(());
    }
    let watch = Watch::new()?;
    watch.add(output, 0)?;
    while watch.wait(progress.until())?.is_empty() {
        progress.draw_one(what);
    }
    Ok(())
}

/// Whether a path leads to the running program's neighbours at all: said once,
/// before anything else, instead of by each stage.
pub fn complain_of_missing(name: &str) -> anyhow::Error {
    let here = std::env::current_exe().unwrap_or_default();
    let folder = here.parent().unwrap_or(Path::new("")).display().to_string();
    anyhow::anyhow!(
        "{name} is neither in {folder} nor on PATH ({} needs it)",
        TOOL.name
    )
}
