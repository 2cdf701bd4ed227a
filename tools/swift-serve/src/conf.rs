//! The values of a server's own config: `[DEFAULT]` of a file in the form of
//! Swift's, or of a folder of such files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use configparser::ini::Ini;
use shared::pidfile::reason_of;

/// What `[DEFAULT]` says.
pub type Values = BTreeMap<String, String>;

/// Reads a config. The error names the file.
pub fn read(conf: &Path) -> Result<Values, String> {
    let cannot =
        |path: &Path, e: &io::Error| format!("cannot read {}: {}", path.display(), reason_of(e));
    let mut values = Values::new();
    for file in files(conf).map_err(|e| cannot(conf, &e))? {
        let text = fs::read_to_string(&file).map_err(|e| cannot(&file, &e))?;
        parse(&text, &mut values).map_err(|why| format!("{}: {why}", file.display()))?;
    }
    Ok(values)
}

/// The files of a config, in the order in which Swift reads them.
fn files(conf: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(conf)?.is_dir() {
        return Ok(vec![conf.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(conf)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|end| end == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads as Python's configparser does: names are case-sensitive (Swift asks
/// for that), lines that are indented go on, comments are lines of their own.
fn parse(text: &str, values: &mut Values) -> Result<(), String> {
    let mut ini = Ini::new_cs();
    let mut form = ini.defaults();
    form.default_section = String::new();
    form.multiline = true;
    form.enable_inline_comments = false;
    ini.load_defaults(form);
    let all = ini.read(text.to_owned())?;
    let default = all.into_iter().filter(|(name, _)| name == "DEFAULT");
    for (name, value) in default.flat_map(|(_, values)| values) {
        values.insert(name, value.unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_section_counts() {
        let mut values = Values::new();
        let text = "[DEFAULT]\n# bind_port = 1\nbind_port = 8080\nUser: me ; you\n\
                    [app:x]\nbind_port = 2\n";
        parse(text, &mut values).unwrap();
        assert_eq!(values["bind_port"], "8080");
        assert_eq!(values["User"], "me ; you");
        assert_eq!(values.len(), 2);
        assert!(parse("[DEFAULT\n", &mut values).is_err());
    }
}
