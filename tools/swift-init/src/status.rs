//! Saying what runs.

use shared::state::State;

use crate::group::Group;
use crate::options::Options;
use crate::report;
use crate::voice::Voice;

/// Says what runs of each server; whether all of them do.
pub fn say(options: &Options, groups: &[Group], voice: &mut Voice) -> bool {
    let mut all = true;
    for group in groups {
        if options.number.is_some() {
            configs(options, group, voice);
        }
        for row in &group.rows {
            voice.removed(row, options.verbose);
            report::failure(row, options.verbose);
            if row.state == State::Denied {
                voice.no_permission(row);
            }
        }
        all &= say_one(options, group, voice);
    }
    all
}

/// Says which instances of one server run, or that none does.
pub fn say_one(options: &Options, group: &Group, voice: &mut Voice) -> bool {
    let mut any = false;
    for row in group.running() {
        voice.running(row);
        any = true;
    }
    // Of what was being acted on when the tool ended, nothing is known.
    let lost = group.rows.iter().any(|row| row.state == State::Failed);
    if !any && !lost {
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
        let text = shared::text::backslash_replace(row.text());
        let found: Vec<&str> = text.lines().skip(1).collect();
        found_configs(options, &found, voice);
        return;
    }
    let configs = group.configured().filter_map(|row| row.config.as_deref());
    let configs: Vec<String> = configs.map(|config| config.display().to_string()).collect();
    let said = configs
        .iter()
        .find_map(|config| group.server.deprecation(config.as_ref()));
    if let Some(said) = said {
        voice.line(said);
        let configs: Vec<&str> = configs.iter().map(String::as_str).collect();
        found_configs(options, &configs, voice);
    }
}

fn found_configs(options: &Options, configs: &[&str], voice: &mut Voice) {
    if !options.verbose || configs.is_empty() {
        return;
    }
    voice.line("Found configs:");
    for (config, number) in configs.iter().zip(1..) {
        voice.line(&format!("  {number}) {config}"));
    }
}
