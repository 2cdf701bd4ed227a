//! The command line of this process, and that of its next image.
//!
//! A file that begins with `#!` and names this program is a server of its own:
//! once started, the process bears the file's name in the place of this
//! program's, so that its command line is FILE CONF. That is what Swift's own
//! tools look for, and what they execute to have the config checked.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use swift_cli::program::SearchPath;
use swift_sys::{handover, regular_file};

use crate::options::Server;

/// The longest first line that the kernel reads.
const FIRST_LINE: u64 = 256;

/// A server and the command line that executed it.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub server: Server,
    /// The command line as it stands.
    line: Vec<OsString>,
    /// True when the first of it is the name of the server's file, as it was when this image was executed: what
    /// lies there later may be something else.
    bears_a_files_name: bool,
    /// The directory of this process by the name under which it was entered: `current` may lead to another
    /// release by the next reload.
    pub directory: PathBuf,
}

/// The working directory, by the name that PWD has for it where that is right.
fn working_directory() -> PathBuf {
    let place = |path: &Path| {
        let status = fs::metadata(path).ok()?;
        Some((status.dev(), status.ino()))
    };
    let named = std::env::var_os("PWD").map(PathBuf::from);
    let is_right = |path: &PathBuf| path.is_absolute() && place(path) == place(Path::new("."));
    let named = named.filter(is_right);
    named.unwrap_or_else(|| std::env::current_dir().unwrap_or_else(|_| ".".into()))
}

/// The arguments, of which the file is the first one: the name of this process
/// is one of them when it is the file's.
pub fn arguments() -> Vec<OsString> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if !args.is_empty() && !bears_a_files_name(&args) {
        args.remove(0);
    }
    args
}

fn bears_a_files_name(args: &[OsString]) -> bool {
    let name = Path::new(&args[0]);
    name.iter().nth(1).is_some() && interpreter(name).is_some()
}

impl Invocation {
    /// The invocation of this process.
    pub fn of(server: Server) -> Invocation {
        let line: Vec<OsString> = std::env::args_os().collect();
        Invocation {
            server,
            bears_a_files_name: bears_a_files_name(&line),
            line,
            directory: working_directory(),
        }
    }

    /// Executes this program once more under the file's name, if the file is a
    /// program. Where that is not possible, the name stays as it is.
    pub fn take_name(&self) {
        if self.bears_a_files_name {
            return;
        }
        let file = &self.server.file;
        let executable = fs::metadata(file)
            .is_ok_and(|status| status.is_file() && status.permissions().mode() & 0o111 != 0);
        if !executable || interpreter(file).is_none() {
            return;
        }
        // A name without a slash would be looked for in PATH.
        let name = match file.iter().nth(1) {
            Some(_) => file.clone(),
            None => Path::new(".").join(file),
        };
        let mut line = vec![name.into_os_string()];
        line.extend(self.server.conf.iter().map(|conf| conf.clone().into()));
        if self.server.verbose {
            line.push(match self.server.conf {
                Some(_) => "verbose".into(),
                None => "--verbose".into(),
            });
        }
        // It returns only when it failed.
        handover::replace(self.program().as_os_str(), &line, &[]);
    }

    /// The program that is executed for a new generation.
    pub fn program(&self) -> PathBuf {
        let named = match self.bears_a_files_name {
            true => interpreter(Path::new(&self.line[0])),
            false => Some(PathBuf::from(&self.line[0])),
        };
        let named = named.unwrap_or_default();
        if named.iter().nth(1).is_some() {
            return named;
        }
        let found = named.to_str().and_then(|n| SearchPath::from_env().find(n));
        found.unwrap_or_else(|| std::env::current_exe().unwrap_or(named))
    }

    /// The command line of the next generation: the same as this one's.
    pub fn line(&self) -> &[OsString] {
        &self.line
    }

    /// The command line that checks the config.
    pub fn check_line(&self) -> Vec<OsString> {
        let server = &self.server;
        let mut line = vec![self.program().into_os_string(), server.file.clone().into()];
        line.extend(server.conf.iter().map(|conf| conf.clone().into()));
        line.push("--test-config".into());
        line
    }

    /// The server's name in the log.
    pub fn name(&self) -> String {
        let name = self.server.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// The program that a file's first line names; none when it names none.
fn interpreter(file: &Path) -> Option<PathBuf> {
    let mut text = Vec::new();
    let opened = regular_file::open(file).ok()?;
    opened.take(FIRST_LINE).read_to_end(&mut text).ok()?;
    let line = text.split(|b| *b == b'\n').next()?.strip_prefix(b"#!")?;
    let mut words = line
        .split(|b| b.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
        .map(|word| PathBuf::from(OsString::from_vec(word.to_vec())));
    let first = words.next()?;
    match first.file_name()?.to_str() {
        // It looks for the program in PATH.
        Some("env") => words.find(|word| !word.as_os_str().as_encoded_bytes().starts_with(b"-")),
        _ => Some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_names_an_interpreter() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        for (text, program) in [
            (
                "#!/usr/bin/swift-serve\nlisten = []\n",
                Some("/usr/bin/swift-serve"),
            ),
            ("#! /usr/bin/env -S swift-serve\n", Some("swift-serve")),
            ("listen = []\n", None),
            ("", None),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(interpreter(&file), program.map(PathBuf::from), "{text}");
        }
        assert_eq!(interpreter(directory.path()), None);
    }
}
