//! From the words of a command line to servers.

use std::collections::HashMap;

use super::model::Catalogue;

/// One server as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The server's name, such as `object-server`.
    pub server: String,
    /// The one config that is meant (`object.2`: a config named 2.conf), in
    /// small letters.
    pub config: Option<String>,
    /// True when the server was named itself, not by a group or a glob.
    pub spelled_out: bool,
}

impl Name {
    /// The word that asks for just this: `object-server`, or `object-server.2`.
    pub fn word(&self) -> String {
        match &self.config {
            Some(config) => format!("{}.{config}", self.server),
            None => self.server.clone(),
        }
    }
}

/// The servers that a list of words stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Each server once, in the order of the words, then of the catalogue.
    pub names: Vec<Name>,
    /// True when every word was a server's name: then a missing config is an error.
    pub strict: bool,
}

impl Catalogue {
    /// Groups, globs and names to servers, as Manager.__init__ in manager.py
    /// reads them, except that `object.1 object.2` stay two.
    pub fn select<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Selection {
        let mut selected = Selected {
            selection: Selection {
                names: Vec::new(),
                strict: true,
            },
            places: HashMap::new(),
        };
        for word in words {
            if let Some(members) = self.members(word) {
                selected.add_all(&members);
            } else if word.contains('*') {
                let matching = self
                    .servers
                    .iter()
                    .map(|s| s.name.as_ref())
                    .filter(|name| matches(word, name));
                selected.add_all(&matching.collect::<Vec<_>>());
            } else {
                selected.add(self.spelled_out(word));
            }
        }
        selected.selection
    }

    /// `object.2` is object-server with the config 2; the server's part ends at
    /// the first dot, the config's begins after the last. `-server` is left out
    /// of a name without a dash, unless a site calls a server just that.
    pub(crate) fn spelled_out(&self, word: &str) -> Name {
        let server = word.split('.').next().unwrap_or(word);
        let config = word
            .rsplit_once('.')
            .map(|(_, config)| config.to_lowercase());
        let whole = server.is_empty()
            || server.contains('-')
            || self.servers.iter().any(|known| known.name == server);
        let server = if whole {
            server.to_owned()
        } else {
            format!("{server}-server")
        };
        Name {
            server,
            config,
            spelled_out: true,
        }
    }
}

/// A selection as it grows, and where in it a server with a config stands:
/// names can come by the hundred thousand from standard input.
struct Selected {
    selection: Selection,
    places: HashMap<(String, Option<String>), usize>,
}

impl Selected {
    fn add_all(&mut self, names: &[&str]) {
        self.selection.strict = false;
        for name in names {
            self.add(Name {
                server: (*name).to_owned(),
                config: None,
                spelled_out: false,
            });
        }
    }

    fn add(&mut self, name: Name) {
        let names = &mut self.selection.names;
        let next = names.len();
        let key = (name.server.clone(), name.config.clone());
        match *self.places.entry(key).or_insert(next) {
            place if place == next => names.push(name),
            // A user who also names a member of a group wants its messages.
            place => names[place].spelled_out |= name.spelled_out,
        }
    }
}

/// True when a glob matches from the start of a name: `*` is any run of
/// characters, `.` any one, and what follows the glob's end is not looked at
/// (re.match with `*` replaced by `.*`).
pub(crate) fn matches(glob: &str, name: &str) -> bool {
    let begins = |name: &[u8], part: &str| {
        let mut pairs = part.bytes().zip(name);
        name.len() >= part.len() && pairs.all(|(c, n)| c == b'.' || c == *n)
    };
    let mut rest = name.as_bytes();
    // The first place of each part leaves most of the name to those behind it.
    glob.split('*').enumerate().all(|(n, part)| {
        let last = if n == 0 { 0 } else { rest.len() };
        let found = (0..=last).find(|at| begins(&rest[*at..], part));
        rest = found.map_or(rest, |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn select(words: &[&str]) -> (Vec<String>, bool) {
        let selection = Catalogue::load(Path::new("/nonexistent"))
            .unwrap()
            .select(words.iter().copied());
        let names = selection.names.iter().map(Name::word);
        (names.collect(), selection.strict)
    }

    #[test]
    fn names_with_and_without_server() {
        assert_eq!(
            select(&["object", "object-server", "object-updater"]),
            (vec!["object-server".into(), "object-updater".into()], true)
        );
        assert_eq!(
            select(&["object.1", "object.2", "object.1"]),
            (
                vec!["object-server.1".into(), "object-server.2".into()],
                true
            )
        );
        assert_eq!(
            select(&["object-server.Replication"]).0,
            ["object-server.replication"]
        );
        assert_eq!(select(&["Object"]).0, ["Object-server"]);
    }

    #[test]
    fn a_sites_server_may_have_a_name_without_a_dash() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("swift-init.toml");
        std::fs::write(file, "[server.hello]\n").unwrap();
        let catalogue = Catalogue::load(directory.path()).unwrap();
        let names = catalogue.select(["hello.1", "object"]).names;
        let servers: Vec<&str> = names.iter().map(|n| n.server.as_str()).collect();
        assert_eq!(servers, ["hello", "object-server"]);
    }

    #[test]
    fn groups_and_globs_are_lenient() {
        assert_eq!(select(&["main"]).0.len(), 4);
        assert!(!select(&["main"]).1);
        assert_eq!(
            select(&["*-rep"]),
            (
                vec![
                    "account-replicator".into(),
                    "container-replicator".into(),
                    "object-replicator".into()
                ],
                false
            )
        );
        assert_eq!(select(&["ob.ect-s*"]).0, ["object-server"]);
        assert_eq!(select(&["nothing*"]), (vec![], false));
        assert_eq!(select(&["*"]).0.len(), 18);
        assert!(!select(&["proxy", "rest"]).1);
    }

    #[test]
    fn globs_match_from_the_start() {
        assert!(matches("object-*", "object-server"));
        assert!(matches("*serv*r", "object-server"));
        assert!(!matches("server*", "object-server"));
        assert!(!matches("*x", "object-server"));
        assert!(matches("o*e*e*e", "object-server"));
        assert!(!matches("[o*", "object-server"));
    }
}
