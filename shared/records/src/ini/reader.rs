//! A file laid over what was read before, line by line.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::model::{DEFAULT, Entry, Fault, Ini, Position, Section, is_blank};

impl Ini {
    /// Lays a file over what was read before. The error is its first line that
    /// makes no sense; what stands above it was taken in.
    ///
    /// A line that stands further right than a key goes on with its value, even when
    /// it looks like a section. Comments have lines of their own, and keys are
    /// case-sensitive.
    pub fn add(&mut self, file: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(bytes);
        self.is_lossy |= matches!(text, Cow::Owned(_));
        let mut reader = Reader {
            ini: self,
            file: file.into(),
            seen: HashSet::new(),
            section: None,
            key: None,
        };
        for (line, number) in lines(&text).zip(1..) {
            reader.line(line, number)?;
        }
        Ok(())
    }
}

/// One file being read.
struct Reader<'a> {
    ini: &'a mut Ini,
    file: Arc<Path>,
    /// The sections and keys of this file; a section has no key.
    seen: HashSet<(String, Option<String>)>,
    /// The section that goes on.
    section: Option<String>,
    /// The key that goes on, and how far right it stands.
    key: Option<(String, usize)>,
}

impl Reader<'_> {
    fn line(&mut self, whole: &str, number: usize) -> Result<(), Fault> {
        let line = whole.trim_matches(is_blank);
        if line.starts_with(['#', ';']) {
            return Ok(());
        }
        if line.is_empty() {
            // An empty line is part of a value that goes on after it.
            self.go_on("");
            return Ok(());
        }
        let indent = whole.len() - whole.trim_start_matches(is_blank).len();
        if self.key.as_ref().is_some_and(|(_, at)| indent > *at) {
            self.go_on(line);
            return Ok(());
        }
        if let Some(name) = header(line) {
            self.begin(name, number);
            return Ok(());
        }
        let place = self.place(number);
        let fault = |what: &str| Fault {
            place: place.clone(),
            what: what.to_owned(),
        };
        if self.section.is_none() {
            return Err(fault("no section has begun here"));
        }
        match line.split_once(['=', ':']) {
            Some((key, value)) if !key.is_empty() => {
                let lines = value.trim_matches(is_blank).to_owned();
                let key = key.trim_end_matches(is_blank).to_owned();
                self.set(key.clone(), Entry { lines, place });
                self.key = Some((key, indent));
                Ok(())
            }
            _ => Err(fault("neither an option nor a section")),
        }
    }

    fn place(&self, line: usize) -> Position {
        Position {
            file: self.file.clone(),
            line,
        }
    }

    fn begin(&mut self, name: &str, number: usize) {
        if name != DEFAULT {
            self.once(name, None, number);
            self.ini.sections.entry(name.to_owned()).or_default();
        }
        self.section = Some(name.to_owned());
        self.key = None;
    }

    fn set(&mut self, key: String, entry: Entry) {
        let Some(section) = self.section.clone() else {
            return;
        };
        self.once(&section, Some(&key), entry.place.line);
        self.current().insert(key, entry);
    }

    /// The keys of the section that goes on.
    fn current(&mut self) -> &mut Section {
        match self.section.as_deref() {
            None | Some(DEFAULT) => &mut self.ini.defaults,
            Some(name) => self.ini.sections.entry(name.to_owned()).or_default(),
        }
    }

    /// One more line of the value that goes on.
    fn go_on(&mut self, line: &str) {
        let Some((key, _)) = self.key.clone() else {
            return;
        };
        if let Some(entry) = self.current().get_mut(&key) {
            entry.lines.push('\n');
            entry.lines.push_str(line);
        }
    }

    /// Notes a section or a key that stands in this file for the second time.
    fn once(&mut self, section: &str, key: Option<&str>, number: usize) {
        let name = (section.to_owned(), key.map(str::to_owned));
        if !self.seen.insert(name) && self.ini.duplicate.is_none() {
            let what = match key {
                None => format!("section {section} has begun before"),
                Some(key) => format!("{key} stands in section {section} before"),
            };
            let place = self.place(number);
            self.ini.duplicate = Some(Fault { place, what });
        }
    }
}

/// The name within the brackets that a line begins with.
fn header(line: &str) -> Option<&str> {
    let end = line.rfind(']')?;
    line[..end]
        .strip_prefix('[')
        .filter(|name| !name.is_empty())
}

/// The lines of a text, as Python's universal newlines part them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split('\n');
    lines.flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}
