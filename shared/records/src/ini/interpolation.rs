//! Values, in which names in parentheses are replaced.

use super::model::{Entry, Fault, Ini, Position};

/// How deep one value may lead to another (MAX_INTERPOLATION_DEPTH).
pub(super) const DEPTH_MAX: usize = 10;

/// How long an interpolated value may become, in bytes: ten levels of
/// references would otherwise grow without bound.
const VALUE_MAX: usize = 64 * 1024;

/// A value in which every `%(name)s` is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// The text.
    pub text: String,
    /// Where its key stands.
    pub place: &'a Position,
}

/// The result of looking a value up.
pub type Found<'a> = Result<Option<Value<'a>>, Fault>;

impl Ini {
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
