//! What people are told goes by server, so rows are gathered by the server and
//! the config that was asked for.

use std::collections::HashMap;
use std::path::Path;

use swift_records::catalogue::{Catalogue, Name, Selection, Server};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;

use crate::index::Index;

/// Where a row stands: its group, and its number in that.
pub type Place = (usize, usize);

/// All rows of one server as it was asked for.
pub struct Group {
    /// The server.
    pub server: Server,
    /// Whether it was named itself, not by a group or a glob.
    pub spelled_out: bool,
    /// Its rows, in the order of their pid files.
    pub rows: Vec<Row>,
}

impl Group {
    /// The row that says that there is no such config, if there is none.
    pub fn unconfigured(&self) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.state == State::Unconfigured)
    }

    /// The rows of configs that exist.
    pub fn configured(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| row.state != State::Unconfigured && !row.is_orphan())
    }

    /// Whether something of it could not be looked at, or was lost sight of: then
    /// nobody may say that nothing runs.
    pub fn is_unclear(&self) -> bool {
        self.rows.iter().any(|row| {
            row.reason() == Some(Reason::Unreadable)
                // Of what was being acted on when the tool ended, nothing is known.
                || (row.state == State::Failed && row.reason() == Some(Reason::Interrupted))
        })
    }

    /// The rows of what runs, also of what may not be touched since its config
    /// is bad.
    pub fn running(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| runs(row))
    }
}

/// Whether a row's server runs.
pub fn runs(row: &Row) -> bool {
    match row.state {
        State::Running | State::Starting | State::Owned | State::Survived => true,
        // Only a process that was seen has a start.
        State::Misconfigured => row.start.is_some(),
        _ => false,
    }
}

/// Whether a row's server may be started: where a pid file cannot be read, what
/// runs is not known.
pub fn may_be_started(row: &Row) -> bool {
    row.state == State::Stopped && row.reason() != Some(Reason::Unreadable)
}

/// Rows by what was asked for, in the order in which it was.
pub fn gather(catalogue: &Catalogue, selection: &Selection, rows: Vec<Row>) -> Vec<Group> {
    let mut latest = Index::with_capacity(rows.len());
    let mut unique: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = latest.find_or_enter(&row, unique.len(), |place| &unique[place]);
        // Two configs of one server that do not exist have the same key.
        if place < unique.len() && row.state != State::Unconfigured {
            unique[place] = row;
        } else {
            unique.push(row);
        }
    }
    let mut groups: Vec<(&Name, Group)> = selection
        .names
        .iter()
        .map(|name| {
            (
                name,
                Group {
                    server: catalogue.server(&name.server),
                    spelled_out: name.spelled_out,
                    rows: Vec::new(),
                },
            )
        })
        .collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (place, (name, _)) in groups.iter().enumerate() {
        first.entry(name.server.as_str()).or_insert(place);
    }
    // The row of a config that is missing does not say which one was asked for: it belongs to the
    // first of the server's names that has none.
    let mut lacking = Vec::new();
    for row in unique {
        if row.state == State::Unconfigured {
            lacking.push(row);
            continue;
        }
        let Some(&from) = first.get(row.server.as_str()) else {
            continue;
        };
        let place = (from..groups.len()).find(|&place| takes(groups[place].0, &row));
        if let Some(place) = place {
            groups[place].1.rows.push(row);
        }
    }
    for row in lacking {
        let Some(&from) = first.get(row.server.as_str()) else {
            continue;
        };
        let lacks = |(name, group): &(&Name, Group)| {
            let has_one = group.unconfigured().is_some() || group.configured().next().is_some();
            name.server == row.server && !has_one
        };
        if let Some((_, group)) = groups[from..].iter_mut().find(|one| lacks(one)) {
            group.rows.insert(0, row);
        }
    }
    groups
        .into_iter()
        .map(|(_, mut group)| {
            // They stay as many as they are, to the end of the command.
            group.rows.shrink_to_fit();
            group
        })
        .filter(|group| !group.rows.is_empty())
        .collect()
}

/// Whether a row answers what was asked for.
fn takes(name: &Name, row: &Row) -> bool {
    name.server == row.server
        && match (&name.config, &row.config) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(config)) => is_named(config, wanted),
        }
}

fn is_named(config: &Path, wanted: &str) -> bool {
    let name = config.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        name.strip_suffix(".conf").or(name.strip_suffix(".conf.d")) == Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: &str, config: Option<&str>, state: State) -> Row {
        Row {
            config: config.map(Into::into),
            ..Row::new(server, state)
        }
    }

    fn gathered(words: &[&str], rows: Vec<Row>) -> Vec<(String, usize)> {
        let catalogue = Catalogue::load(Path::new("/nonexistent")).unwrap();
        let selection = catalogue.select(words.iter().copied());
        let groups = gather(&catalogue, &selection, rows);
        groups
            .into_iter()
            .map(|g| (g.server.name.into_owned(), g.rows.len()))
            .collect()
    }

    #[test]
    fn two_configs_of_one_server_are_kept_apart() {
        let one = row(
            "object-server",
            Some("/x/object-server/1.conf"),
            State::Running,
        );
        let two = row(
            "object-server",
            Some("/x/object-server/2.conf.d"),
            State::Running,
        );
        let none = row("object-server", None, State::Unconfigured);
        let both = ["object.1", "object.2"];
        let name = || "object-server".to_owned();
        assert_eq!(
            gathered(&both, vec![one.clone(), two.clone()]),
            [(name(), 1), (name(), 1)]
        );
        let row_of_one = one.clone();
        assert_eq!(gathered(&["object"], vec![one, two.clone()]), [(name(), 2)]);
        assert_eq!(
            gathered(&both, vec![none.clone(), two]),
            [(name(), 1), (name(), 1)]
        );
        assert_eq!(
            gathered(&both, vec![none.clone(), none.clone()]),
            [(name(), 1), (name(), 1)]
        );
        // A config that is missing is missed beside others of its server.
        assert_eq!(
            gathered(&["object", "object.9"], vec![none, row_of_one]),
            [(name(), 1), (name(), 1)]
        );
    }

    #[test]
    fn what_is_not_installed_is_left_out() {
        let one = row("proxy-server", None, State::Unconfigured);
        assert_eq!(
            gathered(&["main"], vec![one]),
            [("proxy-server".to_owned(), 1)]
        );
    }
}
