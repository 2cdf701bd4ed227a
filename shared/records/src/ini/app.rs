//! The values of a server's app, as PasteDeploy reads them.

use super::interpolation::{DEPTH_MAX, Found, Value};
use super::model::{DEFAULT, Entry, Fault, Ini};

impl Ini {
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
}
