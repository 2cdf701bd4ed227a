//! The rows of a command, gathered by server: people are told by server and by the config that was
//! asked for.

use std::ops::{Index, IndexMut};
use std::path::Path;

use swift_records::catalogue::{Catalogue, Name, Selection, Server};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowIndex {
    /// Its group.
    pub group: usize,
    /// Its position in the group.
    pub row: usize,
}

/// All rows of one server as it was asked for.
pub struct Group {
    /// The server.
    pub server: Server,
    /// True when it was named itself, not by a group or a glob.
    pub spelled_out: bool,
    /// Its rows, in the order of their pid files.
    pub rows: Vec<Row>,
    /// The results so far.
    pub tally: Tally,
}

/// The results of one group so far.
#[derive(Default)]
pub struct Tally {
    /// True when something ran, which has ended or is still there.
    pub ran: bool,
    /// Sent to swift-signal and not yet reported by it.
    pub awaited: usize,
    /// True once it was said that nothing runs.
    pub said_none: bool,
    /// True once it was said that the wait is over.
    pub said_waited: bool,
    /// True once it was said that the program does not exist.
    pub said_missing: bool,
    /// True when something of it failed, may not be signalled or is left that should not be.
    pub failed: bool,
}

impl Group {
    /// The row for a missing config, if it is missing.
    pub fn unconfigured(&self) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.state == State::Unconfigured)
    }

    /// The rows of configs that exist.
    pub fn configured(&self) -> impl Iterator<Item = &Row> {
        let rows = self.rows.iter();
        rows.filter(|row| row.state != State::Unconfigured && !row.is_orphan())
    }

    /// True when a row could not be inspected, or its tool ended without a result: then "nothing
    /// runs" must not be said.
    pub fn is_unclear(&self) -> bool {
        self.rows.iter().any(|row| match row.reason() {
            Some(Reason::Unreadable) => true,
            Some(Reason::Interrupted) => row.state == State::Failed,
            _ => false,
        })
    }

    /// The rows of what runs, also of what may not be touched since its config is bad.
    pub fn running(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| runs(row))
    }
}

/// True when a row's server runs.
pub fn runs(row: &Row) -> bool {
    match row.state {
        State::Running | State::Starting | State::Owned | State::Survived => true,
        // Only a process that was seen has a start.
        State::Misconfigured => row.start.is_some(),
        _ => false,
    }
}

/// True when a row's server may be started: if its pid file cannot be read, it may be running.
pub fn may_be_started(row: &Row) -> bool {
    row.state == State::Stopped && row.reason() != Some(Reason::Unreadable)
}

/// The servers of a command and their rows, which are replaced as they change.
pub struct Table {
    /// One group for each server that was asked for and found.
    pub groups: Vec<Group>,
    /// The rows in the order of their instances, to find them by.
    sorted: Vec<RowIndex>,
}

impl Index<RowIndex> for Table {
    type Output = Row;

    fn index(&self, at: RowIndex) -> &Row {
        &self.groups[at.group].rows[at.row]
    }
}

impl IndexMut<RowIndex> for Table {
    fn index_mut(&mut self, at: RowIndex) -> &mut Row {
        &mut self.groups[at.group].rows[at.row]
    }
}

impl Table {
    /// The rows by what was asked for, in the order in which it was.
    pub fn gather(catalogue: &Catalogue, selection: &Selection, rows: Vec<Row>) -> Table {
        let group = |name: &Name| Group {
            server: catalogue.server(&name.server),
            spelled_out: name.spelled_out,
            rows: Vec::new(),
            tally: Tally::default(),
        };
        let names = &selection.names;
        let mut groups: Vec<Group> = names.iter().map(group).collect();
        // The row of a config that is missing does not say which one was asked for: it belongs to
        // the first of the server's names that has none.
        let (missing, found): (Vec<Row>, Vec<Row>) = rows
            .into_iter()
            .partition(|row| row.state == State::Unconfigured);
        for row in found {
            if let Some(group) = names.iter().position(|name| takes(name, &row)) {
                groups[group].rows.push(row);
            }
        }
        for row in missing {
            let lacks = |group: &&mut Group| {
                group.server.name == row.server && group.rows.iter().all(Row::is_orphan)
            };
            if let Some(group) = groups.iter_mut().find(lacks) {
                group.rows.insert(0, row);
            }
        }
        groups.retain(|group| !group.rows.is_empty());
        // They stay as many as they are, to the end of the command.
        groups.iter_mut().for_each(|g| g.rows.shrink_to_fit());
        let mut table = Table {
            groups,
            sorted: Vec::new(),
        };
        let mut sorted: Vec<RowIndex> = table.indices().collect();
        sorted.sort_by(|one, other| table[*one].id().cmp(&table[*other].id()));
        table.sorted = sorted;
        table
    }

    /// Where the row of the same instance stands.
    pub fn find(&self, row: &Row) -> Option<RowIndex> {
        let first = self.sorted.partition_point(|at| self[*at].id() < row.id());
        let found = self.sorted.get(first).copied();
        found.filter(|at| self[*at].id() == row.id())
    }

    /// Where the rows stand.
    pub fn indices(&self) -> impl Iterator<Item = RowIndex> {
        (0..self.groups.len()).flat_map(|group| self.indices_of(group))
    }

    /// Where the rows of a group stand.
    pub fn indices_of(&self, group: usize) -> impl Iterator<Item = RowIndex> + use<> {
        (0..self.groups[group].rows.len()).map(move |row| RowIndex { group, row })
    }

    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.groups.iter().flat_map(|group| &group.rows)
    }

    /// The group of a row.
    pub fn group(&mut self, at: RowIndex) -> &mut Group {
        &mut self.groups[at.group]
    }

    /// The tally of a row's group.
    pub fn tally(&mut self, at: RowIndex) -> &mut Tally {
        &mut self.groups[at.group].tally
    }
}

/// True when a row answers what was asked for.
fn takes(name: &Name, row: &Row) -> bool {
    let Some(wanted) = name.config.as_deref() else {
        return name.server == row.server;
    };
    let config = row.config.as_deref().and_then(Path::file_name);
    let config = config.and_then(|config| config.to_str());
    name.server == row.server
        && config.is_some_and(|config| {
            let stem = config.strip_suffix(".conf");
            stem.or(config.strip_suffix(".conf.d")) == Some(wanted)
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
        let table = Table::gather(&catalogue, &selection, rows);
        table
            .groups
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

    #[test]
    fn a_row_is_found_by_its_instance_and_to_the_byte() {
        let catalogue = Catalogue::load(Path::new("/nonexistent")).unwrap();
        let selection = catalogue.select(["object", "proxy"]);
        let config = |n: usize| format!("/x/{n}.conf");
        let rows = (0..100).map(|n| row("object-server", Some(&config(n)), State::Stopped));
        let table = Table::gather(&catalogue, &selection, rows.collect());
        let running = row("object-server", Some(&config(7)), State::Running);
        assert_eq!(table.find(&running), Some(RowIndex { group: 0, row: 7 }));
        for unknown in [
            row("object-server", Some("/x//7.conf"), State::Running),
            row("proxy-server", Some(&config(7)), State::Running),
            row("object-server", None, State::Running),
        ] {
            assert_eq!(table.find(&unknown), None);
        }
    }
}
