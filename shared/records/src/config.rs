//! Reading a server's config from disk: a file, or all files of a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ini::Ini;
use swift_sys::error::reason_of;
use swift_sys::regular_file;

/// The files of a config, in the order in which Swift reads them: the config
/// itself, or what counts of a directory.
pub fn files(config: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(config) {
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(vec![config.to_owned()]),
        entries => entries?,
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    Ok(files_that_count(paths.collect::<io::Result<_>>()?))
}

/// The files of a config's directory that count, in the order in which they are
/// read (read_conf_dir in Swift's utils), out of all that are in it.
fn files_that_count(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.ends_with(b".conf") && !name.starts_with(b".")
    });
    paths.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    paths
}

/// Refuses a config with something in the place of a file that could make its server wait for ever. What
/// does not exist, or may not be seen, is left to the server.
pub fn require_regular(config: &Path) -> Result<(), String> {
    for file in files(config).unwrap_or_default() {
        let kind = fs::metadata(&file).map(|status| status.file_type());
        if let Some(Err(e)) = kind.ok().map(regular_file::require) {
            return Err(format!("{}: {}", file.display(), reason_of(&e)));
        }
    }
    Ok(())
}

/// Reads a config. All of its files are read, since one that makes no sense
/// spoils the config. The error names the file, and the line where it makes no
/// sense.
pub fn read(config: &Path) -> Result<Ini, String> {
    let cannot =
        |path: &Path, e: &io::Error| format!("cannot read {}: {}", path.display(), reason_of(e));
    let mut ini = Ini::default();
    for file in files(config).map_err(|e| cannot(config, &e))? {
        let text = regular_file::read(&file).map_err(|e| cannot(&file, &e))?;
        ini.add(&file, &text).map_err(|fault| {
            let line = fault.place.line;
            format!("{}: line {line}: {}", file.display(), fault.what)
        })?;
    }
    Ok(ini)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_all_its_files_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path();
        let write = |name: &str, text: &str| fs::write(config.join(name), text).unwrap();
        write("20.conf", "[DEFAULT]\nuser = two\n");
        write("10.conf", "[DEFAULT]\nuser = one\n[a]\n");
        write(".30.conf", "[hidden]\n");
        write("30.conf~", "[saved]\n");
        let ini = read(config).unwrap();
        let user = ini.get("a", "user").unwrap().unwrap();
        assert_eq!(user.text, "two");
        assert_eq!(*user.place.file, config.join("20.conf"));
        assert_eq!(ini.sections().collect::<Vec<_>>(), ["a"]);
        write("30.conf", "x");
        let error = read(config).unwrap_err();
        assert!(error.ends_with("/30.conf: line 1: no section has begun here"));
        let error = read(&config.join("none")).unwrap_err();
        assert!(error.ends_with("/none: No such file or directory"));
    }
}
