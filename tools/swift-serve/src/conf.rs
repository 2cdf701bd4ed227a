//! The values of a server's own config: `[DEFAULT]` of a file in the form of
//! Swift's, or of a directory of such files.

use std::collections::BTreeMap;
use std::path::Path;

use swift_records::config;
use swift_records::ini::DEFAULT;

/// The values of `[DEFAULT]`.
pub type Values = BTreeMap<String, String>;

/// Reads a config. The error names the file, and the line where it makes no
/// sense.
pub fn read(conf: &Path) -> Result<Values, String> {
    let ini = config::read(conf)?;
    let mut values = Values::new();
    for key in ini.keys(DEFAULT) {
        let value = ini.get(DEFAULT, key);
        let value = value.map_err(|fault| {
            let (file, line) = (fault.place.file.display(), fault.place.line);
            format!("{file}: line {line}: {}", fault.what)
        })?;
        values.extend(value.map(|value| (key.to_owned(), value.text)));
    }
    Ok(values)
}

/// Puts values in: `{conf}` is the config's path, `{NAME}` a value of its
/// `[DEFAULT]`, and two braces stand for one.
pub fn expand(text: &str, conf: Option<&(String, Values)>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{");
        let end = end.ok_or("a lone brace (write two for one)")?;
        let name = &rest[..end];
        let (path, values) = conf.ok_or_else(|| format!("{{{name}}}: no config was given"))?;
        out.push_str(match name {
            "conf" => path,
            _ => values
                .get(name)
                .ok_or_else(|| format!("{{{name}}}: not in [DEFAULT] of {path}"))?,
        });
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_default_section_counts() {
        let directory = tempfile::tempdir().unwrap();
        let conf = directory.path().join("a.conf");
        let text = "[DEFAULT]\n# bind_port = 1\nbase = 80\nbind_port = %(base)s80\n\
                    User: me ; you\n[app:x]\nbind_port = 2\n";
        fs::write(&conf, text).unwrap();
        let values = read(&conf).unwrap();
        assert_eq!(values["bind_port"], "8080");
        assert_eq!(values["User"], "me ; you");
        assert_eq!(values.len(), 3);
        fs::write(&conf, "[DEFAULT]\nbind_port = %(base)s80\n").unwrap();
        let error = read(&conf).unwrap_err();
        assert!(error.ends_with("/a.conf: line 2: bind_port: no key is named base"));
        fs::write(&conf, "[DEFAULT\n").unwrap();
        assert!(read(&conf).is_err());
    }
}
