//! Saying what runs.

use std::fmt::Display;
use std::path::Path;

use swift_records::row::Row;
use swift_records::state::State;

use crate::group::{self, Group};
use crate::options::Options;
use crate::report;
use crate::voice::Voice;

/// Says what runs of each server, and on standard error what does not. Whether
/// something of every server runs, or with `--strict` every instance, and all
/// could be looked at.
pub fn say(options: &Options, groups: &[Group], voice: &mut Voice) -> bool {
    let every_instance = options.strict == Some(true);
    let mut all = true;
    for group in groups {
        if options.number.is_some() {
            configs(options, group, voice);
        }
        all &= say_one(options, group, voice) && !group.is_unclear();
        let mut down = group.rows.iter().filter_map(report::down).peekable();
        if down.peek().is_some() {
            voice.flush();
        }
        down.for_each(|line| report::say(&line));
        all &= !every_instance || group.configured().all(is_up);
    }
    all
}

/// Whether an instance runs, as far as somebody who only looks is concerned.
fn is_up(row: &Row) -> bool {
    // What may not be signalled runs all the same.
    group::runs(row) || row.state == State::Denied
}

/// Says which instances of one server run, or that none does.
pub fn say_one(options: &Options, group: &Group, voice: &mut Voice) -> bool {
    let mut any = false;
    for row in group.rows.iter().filter(|row| is_up(row)) {
        voice.running(row);
        any = true;
    }
    if any || group.is_unclear() {
        return any;
    }
    let name = &group.server.name;
    match (options.number, group.configured().next()) {
        (None, _) => voice.line(&format!("No {name} running")),
        (Some(number), Some(row)) => {
            let config = row.config.as_deref().unwrap_or("".as_ref()).display();
            voice.line(&format!("{name} #{number} not running ({config})"));
        }
        // It was said already that there is no such config.
        (Some(_), None) => {}
    }
    any
}

/// Says that a config is missing, or is of a kind out of favour; with -v, also
/// which there are.
pub fn configs(options: &Options, group: &Group, voice: &mut Voice) {
    let name = &group.server.name;
    if let Some(row) = group.unconfigured() {
        match options.number {
            Some(number) => {
                voice.line(&format!(
                    "Unable to locate config number {number} for {name}"
                ));
            }
            None => voice.line(&format!("Unable to locate config for {name}")),
        }
        let text = swift_cli::text::backslash_replace(row.text());
        found_configs(options, text.lines().skip(1), voice);
        return;
    }
    let configs = || group.configured().filter_map(|row| row.config.as_deref());
    if let Some(said) = configs().find_map(|config| group.server.deprecation(config)) {
        voice.line(said);
        found_configs(options, configs().map(Path::display), voice);
    }
}

fn found_configs<T: Display>(
    options: &Options,
    configs: impl Iterator<Item = T>,
    voice: &mut Voice,
) {
    let mut configs = configs.zip(1..).peekable();
    if !options.verbose || configs.peek().is_none() {
        return;
    }
    voice.line("Found configs:");
    for (config, number) in configs {
        voice.line(&format!("  {number}) {config}"));
    }
}
