//! Sections, their keys, and where each stands.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// The section whose keys hold in all others.
pub const DEFAULT: &str = "DEFAULT";

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub file: Arc<Path>,
    /// Its line, from 1 on.
    pub line: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A line of a file that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Position,
    /// The fault in words.
    pub what: String,
}

/// A key's value as it is written, and where its key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its lines, each without the blanks around it.
    pub(super) lines: String,
    pub(super) place: Position,
}

impl Entry {
    /// The value, without the empty lines that follow it.
    pub(super) fn raw(&self) -> &str {
        self.lines.trim_end_matches(is_blank)
    }
}

pub(super) type Section = BTreeMap<String, Entry>;

/// One config, which may be several files.
#[derive(Clone, Debug, Default)]
pub struct Ini {
    pub(super) defaults: Section,
    pub(super) sections: BTreeMap<String, Section>,
    /// Keys that are there before any file is read, such as PasteDeploy's `here`.
    pub(super) given: BTreeMap<String, String>,
    /// The first section or key that one file has twice. Python refuses the
    /// file then.
    pub duplicate: Option<Fault>,
    /// A file is not UTF-8. Python refuses it or not, by its locale.
    pub is_lossy: bool,
}

impl Ini {
    /// A config of no file, in which these keys can be referred to.
    pub fn new(given: impl IntoIterator<Item = (&'static str, String)>) -> Ini {
        let given = given
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value));
        Ini {
            given: given.collect(),
            ..Ini::default()
        }
    }

    /// True when there is such a section. [`DEFAULT`] is none.
    pub fn has_section(&self, name: &str) -> bool {
        self.sections.contains_key(name)
    }

    /// The names of all sections, sorted, without [`DEFAULT`].
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// The keys of a section and of [`DEFAULT`], each once.
    pub fn keys(&self, section: &str) -> HashSet<&str> {
        let own = self.sections.get(section).into_iter().flatten();
        own.chain(&self.defaults)
            .map(|(key, _)| key.as_str())
            .collect()
    }

    /// True when a key stands in this very section.
    pub fn is_own(&self, section: &str, key: &str) -> bool {
        self.section(section).is_some_and(|s| s.contains_key(key))
    }

    /// A key as it is written, in a section or else in [`DEFAULT`].
    pub(super) fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        let own = self.section(section).and_then(|s| s.get(key));
        own.or_else(|| self.defaults.get(key))
    }

    /// The section `PREFIX:NAME` with one of these prefixes.
    pub fn named(&self, prefixes: &[&str], name: &str) -> Option<&str> {
        self.sections().find(|section| {
            let Some((prefix, rest)) = section.split_once(':') else {
                return false;
            };
            prefixes.contains(&prefix) && rest.trim() == name
        })
    }

    fn section(&self, name: &str) -> Option<&Section> {
        match name {
            DEFAULT => Some(&self.defaults),
            name => self.sections.get(name),
        }
    }
}

/// The characters that Python's str.strip() takes away.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}
