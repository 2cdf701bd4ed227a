//! From names to rows.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use swift_cli::program::SearchPath;
use swift_cli::{self as cli, Exit};
use swift_records::catalogue::{Catalogue, Selection};
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::stream;
use swift_sys::failpoint;

use crate::configs::Configs;
use crate::list;
use crate::options::{Options, TOOL};
use crate::pids::PidFiles;
use crate::rows::{self, Ground, Wanted};

/// Carries the command line out.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let path = SearchPath::from_env();
    if options.list {
        list::write(&catalogue, &path, &mut std::io::stdout().lock()).context(cli::UNWRITABLE)?;
        return Ok(Exit::Ok);
    }
    let read;
    let words: Vec<&str> = if !options.names.is_empty() {
        options.names.iter().map(String::as_str).collect()
    } else if std::io::stdin().is_terminal() {
        TOOL.say("no names (see swift-resolve-servers --help)");
        return Ok(Exit::Usage);
    } else {
        read = std::io::read_to_string(std::io::stdin())
            .context("cannot read names from standard input")?;
        read.split_whitespace().collect()
    };
    if words.is_empty() {
        TOOL.say("no names on standard input");
        return Ok(Exit::Failed);
    }
    let wanted = installed(&catalogue, catalogue.select(words.iter().copied()), &path);
    let is_installed = |name: &str| wanted.iter().any(|w| w.server.name == name);
    // No row can say it, so --quiet does not keep it back.
    let complaints = catalogue.complaints(words.iter().copied(), is_installed);
    complaints.iter().for_each(|what| TOOL.say(what));
    let exit = match complaints[..] {
        [] => Exit::Ok,
        _ => Exit::Failed,
    };
    match wanted[..] {
        [] => Ok(exit),
        _ => Ok(exit.and(write_rows(&options, &catalogue, &wanted)?)),
    }
}

/// The servers whose programs are installed, each once, in the order in which
/// they were asked for.
fn installed(catalogue: &Catalogue, selection: Selection, path: &SearchPath) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    let mut places = HashMap::new();
    for name in selection.names {
        match places.get(&name.server) {
            Some(place) => {
                let wanted: &mut Wanted = &mut all[*place];
                wanted.names.push(name.config);
            }
            None => {
                all.push(Wanted {
                    server: catalogue.server(&name.server),
                    names: vec![name.config],
                });
                places.insert(name.server, all.len() - 1);
            }
        }
    }
    all.retain(|wanted| path.find(&wanted.server.command).is_some());
    all
}

fn write_rows(options: &Options, catalogue: &Catalogue, wanted: &[Wanted]) -> anyhow::Result<Exit> {
    let run_dir = options.run_dir.as_deref().unwrap_or(&catalogue.run_dir);
    let sources = wanted.iter().flat_map(|w| w.server.sources.iter());
    let stems: Vec<&str> = sources.map(|source| source.stem.as_ref()).collect();
    let configs = Configs::scan(&options.swift_dir, &stems);
    let pids = match options.number {
        Some(_) => PidFiles::default(),
        None => pid_files(run_dir, catalogue, wanted),
    };
    failpoint::at("scanned");
    let mut exit = Exit::Ok;
    if configs.is_missing {
        TOOL.say(&format!("{} does not exist", options.swift_dir.display()));
        exit = Exit::Failed;
    }
    let of_pids = pids.unreadable.iter().map(|(_, unread)| unread);
    for unread in configs.unreadable.iter().chain(of_pids) {
        let text = unread.text();
        TOOL.say(&format!("cannot read {}", String::from_utf8_lossy(&text)));
        exit = Exit::Failed;
    }
    let ground = Ground {
        swift_dir: &options.swift_dir,
        run_dir,
        configs: &configs,
        pids: &pids,
        number: options.number.map(usize::from),
    };
    let mut output = stream::stdout()?;
    let mut faults = Vec::new();
    for wanted in wanted {
        let found = rows::of_server(&ground, wanted, &mut faults);
        if found.doubtful {
            exit = Exit::Unable;
        }
        for row in found.rows {
            if row.state == State::Unconfigured {
                exit = exit.and(Exit::Failed);
                say_unconfigured(&row, options.quiet);
            }
            output.put(&row)?;
        }
    }
    output.flush()?;
    for fault in faults {
        TOOL.say(&fault);
        exit = exit.and(Exit::Failed);
    }
    Ok(exit)
}

fn pid_files(run_dir: &Path, catalogue: &Catalogue, wanted: &[Wanted]) -> PidFiles {
    let wanted: Vec<&str> = wanted.iter().map(|w| w.server.name.as_ref()).collect();
    let listed = catalogue.servers.iter().map(|s| s.name.as_ref());
    let known: Vec<&str> = listed.chain(wanted.iter().copied()).collect();
    PidFiles::scan(run_dir, &wanted, &known)
}

fn say_unconfigured(row: &Row, quiet: bool) {
    if !quiet {
        let what = row.text().split(|b| *b == b'\n').next().unwrap_or_default();
        TOOL.say(&format!(
            "cannot find a config ({}): {}",
            row.server,
            String::from_utf8_lossy(what)
        ));
    }
}
