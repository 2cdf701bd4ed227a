//! Configs in the form of Swift's own: `[section]`s of `key = value`, read as
//! Python's configparser reads them with the settings that Swift gives it
//! (readconf in swift/common/utils/config.py, PasteDeploy's loadwsgi.py).
//!
//! Pure data: who reads the files is [`crate::config`].

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The section whose keys hold in all others.
pub const DEFAULT: &str = "DEFAULT";

/// How deep one value may lead to another (MAX_INTERPOLATION_DEPTH).
const DEPTH_MAX: usize = 10;

/// How long an interpolated value may become, in bytes: ten levels of
/// references would otherwise grow without bound.
const VALUE_MAX: usize = 64 * 1024;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// Its line, from 1 on.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A line of a file that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it.
    pub what: String,
}

/// A key's value as it is written, and where its key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Its lines, each without the blanks around it.
    lines: String,
    place: Place,
}

impl Entry {
    /// The value, without the empty lines that follow it.
    fn raw(&self) -> &str {
        self.lines.trim_end_matches(is_blank)
    }
}

/// A value in which every `%(name)s` is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// The text.
    pub text: String,
    /// Where its key stands.
    pub place: &'a Place,
}

/// What became of looking a value up.
pub type Found<'a> = Result<Option<Value<'a>>, Fault>;

type Section = BTreeMap<String, Entry>;

/// One config, which may be several files.
#[derive(Clone, Debug, Default)]
pub struct Ini {
    defaults: Section,
    sections: BTreeMap<String, Section>,
    /// Keys that are there before any file is read, such as PasteDeploy's `here`.
    given: BTreeMap<String, String>,
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

    /// Lays a file over what was read before. The error is its first line that
    /// makes no sense; what stands above it was taken in.
    ///
    /// What stands further right than a key goes on with its value, even when
    /// it looks like a section. Comments have lines of their own, and keys are
    /// case-sensitive.
    pub fn add(&mut self, file: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(bytes);
        self.is_lossy |= matches!(text, std::borrow::Cow::Owned(_));
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

    /// Whether there is such a section. [`DEFAULT`] is none.
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

    /// Whether a key stands in this very section.
    pub fn is_own(&self, section: &str, key: &str) -> bool {
        self.section(section).is_some_and(|s| s.contains_key(key))
    }

    /// A key as it is written, in a section or else in [`DEFAULT`].
    fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        let own = self.section(section).and_then(|s| s.get(key));
        own.or_else(|| self.defaults.get(key))
    }

    /// A key's value, in a section or else in [`DEFAULT`].
    pub fn get(&self, section: &str, key: &str) -> Found<'_> {
        let Some(entry) = self.entry(section, key) else {
            return Ok(None);
        };
        let mut text = String::new();
        // Swift's NicerInterpolation, so that `1%` is 1%.
        let result = match entry.raw().contains("%(") {
            false => {
                text.push_str(entry.raw());
                Ok(())
            }
            true => self.interpolate(section, entry.raw(), &mut text, 1),
        };
        let place = &entry.place;
        match result {
            Ok(()) => Ok(Some(Value { text, place })),
            Err(what) => Err(Fault {
                place: place.clone(),
                what: format!("{key}: {what}"),
            }),
        }
    }

    /// The value that a server's app gets for a key: PasteDeploy lets a key of
    /// [`DEFAULT`] win over the app's own one, unless that is written `set KEY`.
    ///
    /// None as well for what comes from elsewhere: another file (`use =
    /// config:...`), or `get KEY`.
    pub fn app_value(&self, section: &str, key: &str) -> Found<'_> {
        if let Some(value) = self.app_own(section, key, 1)? {
            return Ok(value);
        }
        self.get(DEFAULT, key)
    }

    /// The same without [`DEFAULT`]; none inside when it comes from elsewhere.
    fn app_own(
        &self,
        section: &str,
        key: &str,
        depth: usize,
    ) -> Result<Option<Option<Value<'_>>>, Fault> {
        let is_own = |key: &str| self.is_own(section, key);
        if is_own(&format!("get {key}")) || depth > DEPTH_MAX {
            return Ok(Some(None));
        }
        if is_own(key) && !self.defaults.contains_key(key) {
            return self.get(section, key).map(Some);
        }
        let used = self.entry(section, "use").map(Entry::raw);
        let base = match used {
            Some(used) if used.starts_with("egg:") || used.starts_with("call:") => None,
            // The rest of it is in another file.
            Some(used) if used.contains(':') => return Ok(Some(None)),
            Some(used) => self.named(&["app", "application"], used),
            None => None,
        };
        let set = format!("set {key}");
        // What is local to a section that is used wins over what this one sets for all.
        if let Some(base) = base
            && !(self.defaults.contains_key(key) && is_own(&set))
            && let Some(value) = self.app_own(base, key, depth + 1)?
        {
            return Ok(Some(value));
        }
        match is_own(&set) {
            true => self.get(section, &set).map(Some),
            false => Ok(None),
        }
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

    /// BasicInterpolation of configparser.
    fn interpolate(
        &self,
        section: &str,
        raw: &str,
        text: &mut String,
        depth: usize,
    ) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("its references are deeper than {DEPTH_MAX}"));
        }
        let mut rest = raw;
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let reference = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .and_then(|(name, after)| Some((name, after.strip_prefix('s')?)));
            let Some((name, after)) = reference.filter(|(name, _)| !name.is_empty()) else {
                return Err("% is followed neither by % nor by (NAME)s".into());
            };
            let given = || self.given.get(name).map(String::as_str);
            let raw = self.entry(section, name).map(Entry::raw);
            match raw.or_else(given) {
                Some(raw) if raw.contains('%') => {
                    self.interpolate(section, raw, text, depth + 1)?;
                }
                Some(raw) => text.push_str(raw),
                None => return Err(format!("no key is named {name}")),
            }
            if text.len() > VALUE_MAX {
                return Err(format!("it is longer than {VALUE_MAX} bytes"));
            }
            rest = after;
        }
        text.push_str(rest);
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

    fn place(&self, line: usize) -> Place {
        Place {
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

/// What Python's str.strip() takes away.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// The files of a config's directory that count, in the order in which they are
/// read (read_conf_dir in Swift's utils), out of all that are in it.
pub fn files_that_count(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.ends_with(b".conf") && !name.starts_with(b".")
    });
    paths.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ini(text: &str) -> Result<Ini, (usize, String)> {
        let mut ini = Ini::new([("here", "/etc/swift".to_owned())]);
        match ini.add(Path::new("a.conf"), text.as_bytes()) {
            Ok(()) => Ok(ini),
            Err(fault) => Err((fault.place.line, fault.what)),
        }
    }

    fn get(ini: &Ini, section: &str, key: &str) -> Option<(String, usize)> {
        let value = ini.get(section, key).unwrap()?;
        Some((value.text, value.place.line))
    }

    fn app(text: &str, key: &str) -> Option<String> {
        let ini = ini(text).unwrap();
        let value = ini.app_value("app:proxy-server", key).unwrap()?;
        Some(value.text)
    }

    #[test]
    fn a_section_is_a_name_in_brackets() {
        let has = |text: &str| ini(text).unwrap().has_section("object-expirer");
        assert!(has("# a\n[DEFAULT]\n\nx = 1\n[object-expirer]\n"));
        assert!(has("  [object-expirer] ; why"));
        assert!(has("[a]\nx : 1\r\n[object-expirer]\r\n"));
        assert!(has("[a]\rx : 1\r[object-expirer]"));
        assert!(!has(""));
        assert!(!has(
            "[object-expirers]\n[Object-Expirer]\n#[object-expirer]\n"
        ));
        assert!(!has("[a]\nx =\n  [object-expirer]\n"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let none = "no section has begun here".to_owned();
        assert_eq!(ini("\nx = 1\n").unwrap_err(), (2, none));
        let neither = || "neither an option nor a section".to_owned();
        assert_eq!(ini("[a]\nx\n").unwrap_err(), (2, neither()));
        assert_eq!(ini("[a]\n= 1\n").unwrap_err(), (2, neither()));
    }

    #[test]
    fn values_are_read_as_python_reads_them() {
        let text = "[DEFAULT]\nUser: me ; you\nmany = 1\n  2\n# not this\n\n  3\n\n\
                    a=b:c\nempty =\n[x]\n  user = you\n";
        let ini = ini(text).unwrap();
        assert_eq!(get(&ini, "x", "User"), Some(("me ; you".into(), 2)));
        assert_eq!(get(&ini, "x", "many"), Some(("1\n2\n\n3".into(), 3)));
        assert_eq!(get(&ini, "x", "a"), Some(("b:c".into(), 9)));
        assert_eq!(get(&ini, "x", "empty"), Some((String::new(), 10)));
        assert_eq!(get(&ini, "x", "user"), Some(("you".into(), 12)));
        assert_eq!(get(&ini, "DEFAULT", "user"), None);
        assert_eq!(get(&ini, "none", "a"), Some(("b:c".into(), 9)));
        assert!(ini.is_own("x", "user") && !ini.is_own("x", "a"));
        assert_eq!(ini.keys("x").len(), 5);
    }

    #[test]
    fn a_later_file_wins_and_what_stands_twice_in_one_is_told() {
        let mut ini = Ini::default();
        ini.add(Path::new("1"), b"[a]\nx = 1\n").unwrap();
        ini.add(Path::new("2"), b"[a]\nx = 2\n").unwrap();
        assert_eq!(get(&ini, "a", "x"), Some(("2".into(), 2)));
        assert_eq!(ini.duplicate, None);
        ini.add(
            Path::new("3"),
            b"[DEFAULT]\n[a]\nx = 1\nx = 2\n[DEFAULT]\n[a]\n",
        )
        .unwrap();
        let first = ini.duplicate.unwrap();
        assert_eq!(first.place.to_string(), "3:4");
        assert_eq!(first.what, "x stands in section a before");
    }

    #[test]
    fn names_in_parentheses_are_replaced() {
        let text = "[DEFAULT]\nbase = 80\nport = %(base)s81\nhalf = 50%\ntwice = %%(%(base)s)\n\
                    home = %(here)s/x\nloop = %(loop)s\ngone = %(nothing)s\nbad = %(base)d\n\
                    [a]\nbase = 90\n";
        let ini = ini(text).unwrap();
        let value = |section: &str, key: &str| get(&ini, section, key).unwrap().0;
        assert_eq!(value("DEFAULT", "port"), "8081");
        assert_eq!(value("a", "port"), "9081");
        assert_eq!(value("a", "half"), "50%");
        assert_eq!(value("a", "twice"), "%(90)");
        assert_eq!(value("a", "home"), "/etc/swift/x");
        for (key, what) in [
            ("loop", "loop: its references are deeper than 10"),
            ("gone", "gone: no key is named nothing"),
            ("bad", "bad: % is followed neither by % nor by (NAME)s"),
        ] {
            assert_eq!(ini.get("a", key).unwrap_err().what, what);
        }
    }

    #[test]
    fn what_grows_without_bound_is_cut_short() {
        let mut text = "[DEFAULT]\na0 = 0123456789\n".to_owned();
        for level in 1..10 {
            let reference = format!("%(a{})s", level - 1);
            text += &format!("a{level} = {}\n", reference.repeat(10));
        }
        let ini = ini(&text).unwrap();
        let what = ini.get("DEFAULT", "a9").unwrap_err().what;
        assert_eq!(what, "a9: it is longer than 65536 bytes");
    }

    #[test]
    fn for_an_app_the_default_wins_unless_it_is_set() {
        let text = "[DEFAULT]\nuser = one\n[app:proxy-server]\nuse = egg:swift#proxy\n";
        assert_eq!(app(text, "user").as_deref(), Some("one"));
        assert_eq!(
            app(&format!("{text}user = two\n"), "user").as_deref(),
            Some("one")
        );
        assert_eq!(
            app(&format!("{text}set user = two\n"), "user").as_deref(),
            Some("two")
        );
        assert_eq!(
            app(&format!("{text}workers = 2\n"), "workers").as_deref(),
            Some("2")
        );
        assert_eq!(app(&format!("{text}get user = x\n"), "user"), None);
        assert_eq!(app(text, "workers"), None);
    }

    #[test]
    fn an_app_may_use_another_section() {
        let text = "[DEFAULT]\nuser = one\n[app:proxy-server]\nuse = base\nset workers = 1\n\
                    [app:base]\nset user = two\nbacklog = 7\nworkers = 3\n";
        assert_eq!(app(text, "user").as_deref(), Some("two"));
        assert_eq!(app(text, "backlog").as_deref(), Some("7"));
        assert_eq!(app(text, "workers").as_deref(), Some("3"));
        let elsewhere = text.replace("use = base", "use = config:other.conf");
        assert_eq!(app(&elsewhere, "user"), None);
        let circle = text.replace("[app:base]\n", "[app:base]\nuse = base\n");
        assert_eq!(app(&circle, "max_clients"), None);
    }
}
