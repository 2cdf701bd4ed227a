//! Whether a config has a section.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use shared::pidfile::reason_of;
use shared::plain;

/// Whether a config, a file or a directory of files, has that section. The
/// error names the file, and the line where it makes no sense.
pub fn has_section(config: &Path, section: &str) -> Result<bool, String> {
    let of_file = |file: &Path| {
        let text = plain::read(file).map_err(|e| cannot_read(file, &e))?;
        scan(&text, section)
            .map_err(|(line, what)| format!("{}: line {line}: {what}", file.display()))
    };
    let Some(files) = files(config).map_err(|e| cannot_read(config, &e))? else {
        return of_file(config);
    };
    // All of them are read, since one that makes no sense spoils the config.
    let mut found = false;
    for file in files {
        found |= of_file(&file)?;
    }
    Ok(found)
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {}", path.display(), reason_of(error))
}

/// The files of a config that is a directory; none when it is none.
fn files(config: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    let entries = match fs::read_dir(config) {
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if name.as_bytes().ends_with(b".conf") && !name.as_bytes().starts_with(b".") {
            files.push(config.join(name));
        }
    }
    files.sort();
    Ok(Some(files))
}

/// Reads as Python's configparser does: what stands further right than an
/// option goes on with it, even when it looks like a section.
fn scan(text: &[u8], section: &str) -> Result<bool, (usize, &'static str)> {
    let mut found = false;
    let mut in_section = false;
    let mut option_at = None;
    for (line, number) in text.split(|b| *b == b'\n').zip(1..) {
        let indent = line.len() - line.trim_ascii_start().len();
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") {
            continue;
        }
        if option_at.is_some_and(|at| indent > at) {
            continue;
        }
        if let Some(name) = header(line) {
            found |= name == section.as_bytes();
            in_section = true;
            option_at = None;
        } else if !in_section {
            return Err((number, "no section has begun here"));
        } else if line.iter().skip(1).any(|b| matches!(b, b'=' | b':'))
            && !matches!(line[0], b'=' | b':')
        {
            option_at = Some(indent);
        } else {
            return Err((number, "neither an option nor a section"));
        }
    }
    Ok(found)
}

/// The name within the brackets that a line begins with.
fn header(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().rposition(|b| *b == b']')?;
    line[..end].strip_prefix(b"[").filter(|n| !n.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expirer(text: &str) -> Result<bool, (usize, &'static str)> {
        scan(text.as_bytes(), "object-expirer")
    }

    #[test]
    fn a_section_is_a_name_in_brackets() {
        assert_eq!(
            expirer("# a\n[DEFAULT]\n\nx = 1\n[object-expirer]\n"),
            Ok(true)
        );
        assert_eq!(expirer("  [object-expirer] ; why"), Ok(true));
        assert_eq!(expirer("[a]\nx : 1\r\n[object-expirer]\r\n"), Ok(true));
        assert_eq!(expirer(""), Ok(false));
        assert_eq!(
            expirer("[object-expirers]\n[Object-Expirer]\n#[object-expirer]\n"),
            Ok(false)
        );
        assert_eq!(expirer("[a]\nx =\n  [object-expirer]\n"), Ok(false));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(expirer("\nx = 1\n"), Err((2, "no section has begun here")));
        assert_eq!(
            expirer("[object-expirer]\nx\n"),
            Err((2, "neither an option nor a section"))
        );
        assert_eq!(
            expirer("[a]\n= 1\n"),
            Err((2, "neither an option nor a section"))
        );
    }

    #[test]
    fn a_directory_is_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path();
        fs::write(config.join("10.conf"), "[a]\n").unwrap();
        fs::write(config.join(".20.conf"), "[object-expirer]\n").unwrap();
        fs::write(config.join("20.conf~"), "[object-expirer]\n").unwrap();
        assert_eq!(has_section(config, "object-expirer"), Ok(false));
        fs::write(config.join("20.conf"), "[object-expirer]\n").unwrap();
        assert_eq!(has_section(config, "object-expirer"), Ok(true));
        fs::write(config.join("30.conf"), "x").unwrap();
        let error = has_section(config, "object-expirer").unwrap_err();
        assert!(error.ends_with("/30.conf: line 1: no section has begun here"));
        let error = has_section(&config.join("none"), "a").unwrap_err();
        assert!(error.ends_with("/none: No such file or directory"));
    }
}
