//! From the request to the exit status.

use std::time::Duration;

use anyhow::Context as _;
use swift_cli::closest::{closest, hint};
use swift_cli::{self as cli, Exit};
use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_sys::failpoint;

use crate::group;
use crate::observe;
use crate::options::{COMMANDS, Command, Options, Request, TOOL, Unknown};
use crate::plan::starts;
use crate::progress::Progress;
use crate::session::Session;
use crate::systemd::Systemd;
use crate::voice::Voice;
use crate::{environment, explain, foreground, help, init, report, service, status};

/// The time that checks of configs may take unless it is said, and the time for all else that is
/// looked at (swift-check-config(1)).
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_secs(30);

/// Does what was asked for.
pub fn run(request: Request) -> anyhow::Result<Exit> {
    match request {
        Request::Help => print(&help::text(), Exit::Ok),
        Request::Complain(what) => complain(&what),
        Request::Unknown(unknown) => {
            let shown = complain(&format!("unknown command, {}", unknown.last));
            TOOL.say(&unknown_command(&unknown));
            shown
        }
        Request::Do(options) if options.explain => explain::run(&options),
        Request::Do(options) => carry_out(*options),
    }
}

fn complain(what: &str) -> anyhow::Result<Exit> {
    print(&format!("{}ERROR: {what}\n", help::text()), Exit::Failed)
}

/// The message about a command line without a command. A server's name is not taken for a misspelt
/// command, so that the command's own typing error is found at either end.
fn unknown_command(unknown: &Unknown) -> String {
    let commands = || COMMANDS.iter().map(|(name, ..)| *name);
    let catalogue = Catalogue::load(&unknown.swift_dir).unwrap_or(Catalogue::empty());
    let ends = [&unknown.last, &unknown.words[0]];
    let meant = ends.into_iter().find_map(|word| {
        let is_name = catalogue.knows(word);
        let command = closest(word, commands()).filter(|_| !is_name);
        command.map(|command| (word, command))
    });
    if let Some((word, command)) = meant {
        return format!("no such command: {word}{}", hint(Some(command)));
    }
    let last = &unknown.last;
    match unknown
        .words
        .iter()
        .find(|word| Command::spelled(word).is_some())
    {
        Some(command) => format!("no such command: {last} ({command} has to stand last or first)"),
        None => format!("no such command: {last}"),
    }
}

fn print(text: &str, exit: Exit) -> anyhow::Result<Exit> {
    let mut voice = Voice::new();
    voice.text(text);
    voice.finish().context(cli::UNWRITABLE)?;
    Ok(exit)
}

fn carry_out(mut options: Options) -> anyhow::Result<Exit> {
    let is_service = service::is_one(&options);
    // Its servers run as they do in the background.
    options.daemon |= is_service;
    options.supervise = is_service;
    init::begin().context("cannot look after orphans")?;
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let selection = catalogue.select(options.servers.iter().map(String::as_str));
    let strict = options.strict.unwrap_or(selection.strict);
    failpoint::at("begun");
    let checks = options.check_timeout.unwrap_or(CHECK_TIMEOUT);
    Systemd::from_env().extend(checks + MARGIN);
    let rows = observe::run(&options, &catalogue, Progress::new())?;
    failpoint::at("observed");
    let groups = group::gather(&catalogue, &selection, rows);
    say_missing(&options, &groups);
    let mut voice = Voice::new();
    // How many servers run of those that were to be started.
    let mut up = 0;
    let done = if groups.is_empty() {
        if is_service {
            let names = options.servers.join(" ");
            let what = format!("no server of that name is installed: {names}");
            Systemd::from_env().status(&what);
        }
        // Nothing that was named is installed. The original tries its limits
        // all the same, and says so when it cannot raise them.
        if starts(options.command) {
            let warnings = environment::raise_limits(&catalogue.limits);
            warnings.iter().for_each(|warning| voice.line(warning));
        }
        false
    } else if options.command == Command::Status {
        status::say(&options, &groups, &mut voice)
    } else {
        environment::need_files()?;
        let mut session = Session::new(&options, &catalogue, strict, groups, voice)?;
        let done = match is_service {
            true => serve(&mut session),
            false => act(&mut session),
        };
        session.log.rest(&options, &session.groups);
        up = session.count_up();
        voice = session.into_voice();
        voice.release();
        voice.flush();
        done?
    };
    failpoint::at("done");
    if let Err(error) = voice.finish() {
        if up > 0 {
            let servers = if up == 1 {
                "server runs"
            } else {
                "servers run"
            };
            report::say(&format!("{up} {servers} all the same"));
        }
        return Err(error).context(cli::UNWRITABLE);
    }
    Ok(if done { Exit::Ok } else { Exit::Failed })
}

/// Says which config was looked for and where: of a server that was named itself, and of every one
/// that is to be started.
fn say_missing(options: &Options, groups: &[group::Group]) {
    let starts = starts(options.command);
    for group in groups {
        let is_orphan = !starts && group.rows.iter().any(Row::is_orphan);
        let Some(row) = group.unconfigured().filter(|_| !is_orphan) else {
            continue;
        };
        if starts || group.spelled_out {
            let what = row.text().split(|b| *b == b'\n').next().unwrap_or_default();
            let what = String::from_utf8_lossy(what);
            TOOL.say(&format!("cannot find a config ({}): {what}", row.server));
        }
    }
}

fn serve(session: &mut Session) -> anyhow::Result<bool> {
    if matches!(session.options.command, Command::Restart | Command::Reload) {
        session.stop()?;
    }
    service::run(session)
}

fn act(session: &mut Session) -> anyhow::Result<bool> {
    let options = session.options;
    match options.command {
        Command::Status => unreachable!("nothing is done for it"),
        Command::Stop | Command::Shutdown => session.stop(),
        Command::Kill => session.kill(),
        Command::ReloadSeamless => session.reload_seamless(),
        Command::Restart | Command::Reload if options.daemon => session.restart(),
        Command::Restart | Command::Reload => {
            session.stop()?;
            foreground::start(session)
        }
        Command::Start | Command::Once | Command::NoWait | Command::NoDaemon => {
            match options.daemon {
                true => session.start(),
                false => foreground::start(session),
            }
        }
    }
}
