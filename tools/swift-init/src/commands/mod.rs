//! The commands, from the request to the exit status.

mod foreground;
mod restart;
mod service;
mod start;
mod status;
mod stop;
mod stop_unit;

use std::time::Duration;

use anyhow::Context as _;
use swift_cli::closest::{closest, hint};
use swift_cli::{self as cli, Exit};
use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::check;
use swift_sys::failpoint;

use crate::console::{Console, Stdout};
use crate::options::{COMMAND_LINE, COMMANDS, Command, Options, Request, TOOL};
use crate::run::Run;
use crate::table::{self, Table};
use crate::{environment, explain, observe, reaper};
use start::After;

/// The time for all that is observed besides the checks of configs.
const MARGIN: Duration = Duration::from_secs(30);

/// Does what was asked for.
pub fn run(request: Request) -> anyhow::Result<Exit> {
    match request {
        Request::Complain(what) => complain(&what),
        Request::Unknown(options) => {
            let last = options.servers.last().map_or("", String::as_str);
            let shown = complain(&format!("unknown command, {last}"));
            TOOL.say(&unknown_command(&options, last));
            shown
        }
        Request::Do(options) if options.explain => explain::run(&options),
        Request::Do(options) => carry_out(*options),
    }
}

/// The message about a command line without a command. A server's name is not taken for a misspelt
/// command, so that the command's own typing error is found at either end.
fn unknown_command(options: &Options, last: &str) -> String {
    let words = &options.servers;
    let catalogue = Catalogue::load(&options.swift_dir).unwrap_or_default();
    let meant = [last, &words[0]].into_iter().find_map(|word| {
        let commands = COMMANDS.iter().map(|(name, _)| *name);
        let command = closest(word, commands).filter(|_| !catalogue.knows(word));
        Some((word, command?))
    });
    if let Some((word, command)) = meant {
        return format!("no such command: {word}{}", hint(Some(command)));
    }
    let mut words = words.iter();
    match words.find(|word| Command::spelled(word).is_some()) {
        Some(command) => format!("no such command: {last} ({command} has to stand last or first)"),
        None => format!("no such command: {last}"),
    }
}

/// Shows the help and an error, as the original does.
fn complain(what: &str) -> anyhow::Result<Exit> {
    let mut stdout = Stdout::new(false);
    stdout.text(&COMMAND_LINE.help());
    stdout.line(&format!("ERROR: {what}"));
    stdout.finish().context(cli::UNWRITABLE)?;
    Ok(Exit::Failed)
}

fn carry_out(mut options: Options) -> anyhow::Result<Exit> {
    let is_service = service::is_one(&options);
    // Its servers run as they do in the background.
    options.foreground &= !is_service;
    options.supervise = is_service;
    reaper::begin().context("cannot look after orphans")?;
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let selection = catalogue.select(options.servers.iter().map(String::as_str));
    let strict = options.strict.unwrap_or(selection.strict);
    failpoint::at("begun");
    let checks = options.check_timeout.unwrap_or(check::TIMEOUT);
    let mut console = Console::new(options.verbose);
    console.systemd.extend(checks + MARGIN);
    let rows = observe::run(&options, &catalogue, &mut console)?;
    failpoint::at("observed");
    let table = Table::gather(&catalogue, &selection, rows);
    say_missing(&options, &table, &mut console);
    // How many servers run of those that were to be started.
    let mut up = 0;
    let done = if table.groups.is_empty() {
        none_installed(&options, &catalogue, &mut console);
        false
    } else if options.command == Command::Status {
        status::status(&options, &table, &mut console)
    } else {
        environment::need_files()?;
        let mut run = Run::new(&options, &catalogue, strict, table, console)?;
        let done = act(&mut run);
        run.log.rest(&run.table);
        up = run.table.rows().filter(|row| came_up(row)).count();
        console = run.console;
        console.progress.clear();
        console.stdout.deferred = false;
        console.flush();
        done?
    };
    failpoint::at("done");
    if let Err(error) = console.stdout.finish() {
        match up {
            0 => {}
            1 => console.error("1 server runs all the same"),
            _ => console.error(&format!("{up} servers run all the same")),
        }
        return Err(error).context(cli::UNWRITABLE);
    }
    Ok(if done { Exit::Ok } else { Exit::Failed })
}

/// Does what is left when nothing that was named is installed. The original tries its limits all the
/// same, and says so when it cannot raise them.
fn none_installed(options: &Options, catalogue: &Catalogue, console: &mut Console) {
    if options.supervise {
        let names = options.servers.join(" ");
        let what = format!("no server of that name is installed: {names}");
        console.systemd.status(&what);
    }
    if options.command.starts() {
        let warnings = environment::raise_limits(&catalogue.limits);
        warnings.iter().for_each(|line| console.stdout.line(line));
    }
}

/// True when a server is up: this command started or reloaded it, or it ran before.
fn came_up(row: &Row) -> bool {
    matches!(row.state, State::Started | State::Ready | State::Reloaded) || table::runs(row)
}

/// Says which config was looked for and where: of a server that was named itself, and of every one
/// that is to be started.
fn say_missing(options: &Options, table: &Table, console: &mut Console) {
    let starts = options.command.starts();
    for group in &table.groups {
        let is_orphan = !starts && group.rows.iter().any(Row::is_orphan);
        let Some(row) = group.unconfigured().filter(|_| !is_orphan) else {
            continue;
        };
        if starts || group.spelled_out {
            let what = row.text().split(|b| *b == b'\n').next().unwrap_or_default();
            let what = String::from_utf8_lossy(what);
            console.error(&format!("cannot find a config ({}): {what}", row.server));
        }
    }
}

fn act(run: &mut Run) -> anyhow::Result<bool> {
    let options = run.options;
    match options.command {
        Command::Status => unreachable!("it does not act"),
        Command::Stop | Command::Shutdown => stop::stop(run),
        Command::Kill => stop::kill(run),
        Command::ReloadSeamless => restart::reload_seamless(run),
        Command::Restart | Command::Reload => match stays(options) {
            false => restart::restart(run),
            true => stop::stop(run).and_then(|_| stay(run)),
        },
        Command::Start | Command::Once | Command::NoWait | Command::NoDaemon => {
            match stays(options) {
                false => start::start(run, After::Observing),
                true => stay(run),
            }
        }
    }
}

/// True when the command stays with the servers that it starts.
fn stays(options: &Options) -> bool {
    options.foreground || options.supervise
}

/// Starts servers and stays with them.
fn stay(run: &mut Run) -> anyhow::Result<bool> {
    match run.options.supervise {
        true => service::service(run),
        false => foreground::foreground(run),
    }
}
