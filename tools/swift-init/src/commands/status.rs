//! `status`, and the lines about configs that other commands share with it.

use std::fmt::Display;
use std::path::Path;

use swift_records::row::Row;
use swift_records::state::State;

use crate::console::{Console, Stdout, diagnostics};
use crate::options::Options;
use crate::table::{self, Group, Table};

/// Says what runs of each server, and on standard error what does not. True when something of every
/// server runs, or with `--strict` every instance, and all could be inspected.
pub fn status(options: &Options, table: &Table, console: &mut Console) -> bool {
    let every_instance = options.strict == Some(true);
    let mut all = true;
    for group in &table.groups {
        if options.number.is_some() {
            configs(options, group, &mut console.stdout);
        }
        all &= group_status(options, group, &mut console.stdout) && !group.is_unclear();
        let down = group.rows.iter().filter_map(diagnostics::down);
        down.for_each(|line| console.error(&line));
        all &= !every_instance || group.configured().all(is_up);
    }
    all
}

/// True when an instance runs, be it one that may not be signalled.
fn is_up(row: &Row) -> bool {
    table::runs(row) || row.state == State::Denied
}

/// Says which instances of one server run, or that none does.
pub fn group_status(options: &Options, group: &Group, stdout: &mut Stdout) -> bool {
    let mut up = group.rows.iter().filter(|row| is_up(row)).peekable();
    let any = up.peek().is_some();
    up.for_each(|row| stdout.running(row));
    if any || group.is_unclear() {
        return any;
    }
    let name = &group.server.name;
    match (options.number, group.configured().next()) {
        (None, _) => stdout.none_running(name),
        (Some(number), Some(row)) => stdout.not_running(name, number, &row.config),
        // It was said already that there is no such config.
        (Some(_), None) => {}
    }
    any
}

/// Says that a config is missing, or is of a deprecated kind; when verbose, also which there are.
pub fn configs(options: &Options, group: &Group, stdout: &mut Stdout) {
    let name = &group.server.name;
    if let Some(row) = group.unconfigured() {
        let number = options.number.map(|number| format!(" number {number}"));
        let number = number.unwrap_or_default();
        stdout.line(&format!("Unable to locate config{number} for {name}"));
        let text = swift_cli::text::backslash_replace(row.text());
        found_configs(options, text.lines().skip(1), stdout);
        return;
    }
    let configs = || group.configured().filter_map(|row| row.config.as_deref());
    if let Some(said) = configs().find_map(|config| group.server.deprecation(config)) {
        stdout.line(said);
        found_configs(options, configs().map(Path::display), stdout);
    }
}

fn found_configs<T: Display>(
    options: &Options,
    configs: impl Iterator<Item = T>,
    stdout: &mut Stdout,
) {
    let mut configs = configs.zip(1..).peekable();
    if !options.verbose || configs.peek().is_none() {
        return;
    }
    stdout.line("Found configs:");
    for (config, number) in configs {
        stdout.line(&format!("  {number}) {config}"));
    }
}
