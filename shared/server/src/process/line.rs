//! The command line of a process, proc_pid_cmdline(5).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::interpreter::{self, basename};
use super::stat::{PROC_MAX, read_proc};
use swift_records::catalogue::Server;
use swift_records::instance::others;
use swift_sys::pid::Pid;
use swift_sys::regular_file;

/// A process's command line: /proc/PID/cmdline, whose parts end with NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Vec<u8>);

/// How much of a script is read for its first line, as the kernel does
/// (BINPRM_BUF_SIZE in linux/binfmts.h).
const FIRST_LINE: u64 = 256;

/// A command line compared with a server and a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The server with that config.
    Config,
    /// The server's program with another config, as the command line names it.
    OtherConfig(PathBuf),
    /// Something else.
    Nothing,
}

/// The command line of a process, cut after [`PROC_MAX`]; none when no process
/// has that number.
pub fn command_line(pid: Pid) -> io::Result<Option<CommandLine>> {
    Ok(read_proc(pid, "cmdline")?.map(CommandLine))
}

impl CommandLine {
    /// The arguments, the program's own name first.
    pub fn args(&self) -> impl Iterator<Item = &OsStr> {
        let whole = self.0.strip_suffix(b"\0").unwrap_or(&self.0);
        let args = whole.split(|b| *b == 0).map(OsStr::from_bytes);
        args.take(if self.0.is_empty() { 0 } else { usize::MAX })
    }

    /// True when the process may have more arguments than are known of it.
    pub fn is_cut(&self) -> bool {
        self.0.len() >= PROC_MAX
    }

    /// The program's name without its directory.
    pub(super) fn name(&self) -> Option<&OsStr> {
        self.args().next().and_then(basename)
    }

    /// The program that this line runs, and its config: its first operand. The
    /// program is the line's first word, or the script that an interpreter runs.
    /// `wanted` says which program is meant.
    pub fn program(
        &self,
        pid: Pid,
        wanted: impl Fn(&OsStr) -> bool,
    ) -> Option<(&OsStr, Option<&OsStr>)> {
        let args: Vec<&OsStr> = self.args().collect();
        let named = |at: usize| {
            let name = basename(args.get(at)?)?;
            wanted(name).then(|| (name, interpreter::config(&args[at + 1..])))
        };
        if let Some(found) = named(0) {
            return Some(found);
        }
        let seen = |at: usize| seen_from(pid, Path::new(args[at]));
        if interpreter::is_known(basename(args.first()?)?) {
            let mut scripts = interpreter::scripts(&args).into_iter();
            return scripts.find_map(|at| named(at).filter(|_| may_be_script(&seen(at))));
        }
        // Of another interpreter, the script itself says that it is one.
        let is_option = |arg: &&OsStr| arg.as_bytes().starts_with(b"-");
        let script = 1 + args[1..].iter().position(|arg| !is_option(arg))?;
        named(script).filter(|_| is_interpreter(args[0], &seen(script)))
    }

    /// Compares this line with a server and its config. The configs are equal
    /// when they have the same bytes or are names of the same file. A config of
    /// another source that has the same pid file will do, since the server may
    /// have been started before its config moved. An error when this process may
    /// not see that, as the directory of another user's process: a process that
    /// cannot be inspected is never treated as a mismatch.
    pub fn runs(&self, server: &Server, config: &Path, pid: Pid) -> io::Result<Runs> {
        let command = OsStr::new(&*server.command);
        let Some((_, Some(argument))) = self.program(pid, |name| name == command) else {
            return Ok(Runs::Nothing);
        };
        let argument = Path::new(argument);
        if argument.as_os_str().is_empty() {
            return Ok(Runs::Nothing);
        }
        let found = seen_from(pid, argument);
        if is_config(server, config, argument, &found)? {
            return Ok(Runs::Config);
        }
        Ok(Runs::OtherConfig(argument.into()))
    }
}

/// True when a path is a server's config, or the one that another source of the
/// server has in its place. `found` is where the path leads from here.
pub(super) fn is_config(
    server: &Server,
    config: &Path,
    path: &Path,
    found: &Path,
) -> io::Result<bool> {
    let all = [config.to_owned()].into_iter();
    for config in all.chain(others(server, config)) {
        if path.as_os_str() == config.as_os_str() || same_file(&config, found)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The words behind `#!` in a script's first line; none when the file begins otherwise.
pub fn shebang(script: &Path) -> Option<Vec<OsString>> {
    let mut text = Vec::new();
    let file = regular_file::open(script).ok()?;
    file.take(FIRST_LINE).read_to_end(&mut text).ok()?;
    let line = text.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    Some(words.map(|word| OsStr::from_bytes(word).into()).collect())
}

/// True when a script's first line names that program as its interpreter.
fn is_interpreter(program: &OsStr, script: &Path) -> bool {
    let name = basename(program);
    let words = shebang(script).unwrap_or_default();
    name.is_some() && words.iter().any(|word| basename(word) == name)
}

/// True when a file can be a script that an interpreter runs, and not a log or a
/// text of the same name that a pager shows: it is executable. A script that is
/// gone, as after an upgrade, tells nothing.
fn may_be_script(script: &Path) -> bool {
    fs::metadata(script).is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0)
        || fs::symlink_metadata(script).is_err()
}

/// A path as the process means it: a relative one begins at its own directory.
pub(super) fn seen_from(pid: Pid, path: &Path) -> PathBuf {
    if path.is_absolute() {
        path.into()
    } else {
        PathBuf::from(format!("/proc/{pid}/cwd")).join(path)
    }
}

pub(super) fn same_file(one: &Path, other: &Path) -> io::Result<bool> {
    let identity = |path| match fs::metadata(path) {
        Ok(m) => Ok(Some((m.dev(), m.ino()))),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(e),
        Err(_) => Ok(None),
    };
    match identity(one)? {
        Some(one) => Ok(identity(other)? == Some(one)),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> CommandLine {
        CommandLine(args.iter().flat_map(|a| a.bytes().chain([0])).collect())
    }

    fn compare(args: &[&str]) -> Runs {
        let me = Pid::own();
        line(args)
            .runs(
                &Server::unlisted("object-server"),
                Path::new("/etc/swift/object-server/1.conf"),
                me,
            )
            .unwrap()
    }

    fn runs(args: &[&str]) -> bool {
        compare(args) == Runs::Config
    }

    #[test]
    fn only_the_server_with_its_config_is_the_server() {
        const CONF: &str = "/etc/swift/object-server/1.conf";
        assert!(runs(&["swift-object-server", CONF]));
        assert!(runs(&["/usr/bin/swift-object-server", CONF, "verbose"]));
        assert!(runs(&[
            "/usr/bin/python3",
            "/usr/bin/swift-object-server",
            CONF
        ]));
        assert!(runs(&[
            "/usr/bin/python3",
            "-s",
            "-u",
            "/usr/bin/swift-object-server",
            CONF
        ]));
        assert!(!runs(&["vim", "/usr/bin/swift-object-server"]));
        assert!(!runs(&["vim", CONF]));
        assert!(!runs(&[
            "tail",
            "-f",
            "/var/log/a",
            "swift-object-server",
            CONF
        ]));
        assert!(!runs(&["swift-object-server-x", CONF]));
        assert!(!runs(&[
            "swift-object-server",
            "/etc/swift/object-server/2.conf"
        ]));
        assert!(!runs(&["swift-object-server"]));
        assert!(runs(&["swift-object-server", "-v", CONF]));
        assert!(runs(&[
            "python3",
            "-X",
            "dev",
            "/x/swift-object-server",
            "-v",
            CONF
        ]));
        assert!(!runs(&["less", "-N", "/bin/swift-object-server", CONF]));
        assert!(!runs(&["grep", "swift-object-server", CONF]));
        assert!(!runs(&[
            "python3",
            "-m",
            "http.server",
            "swift-object-server",
            CONF
        ]));
        assert!(!runs(&["sh", "-c", "swift-object-server", CONF, "x"][..2]));
        assert!(!runs(&[]));
        assert!(!runs(&["", ""]));
    }

    #[test]
    fn another_config_is_told_from_another_program() {
        let other = Runs::OtherConfig("/x/1.conf".into());
        assert_eq!(
            compare(&["swift-object-server", "/x/1.conf", "once"]),
            other
        );
        let script = ["python3", "-s", "/bin/swift-object-server", "/x/1.conf"];
        assert_eq!(compare(&script), other);
        for nothing in [
            &["swift-object-server"][..],
            &["swift-object-server", ""],
            &["swift-object-server", "--test-config"],
            &["swift-object-server-x", "/x/1.conf"],
            &["less", "/var/log/x", "/x/1.conf"],
            &["vim", "/x/1.conf"],
        ] {
            assert_eq!(compare(nothing), Runs::Nothing, "{nothing:?}");
        }
    }

    #[test]
    fn a_reader_of_a_log_of_that_name_is_not_the_server() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("swift-a");
        let runs = |interpreter: &str| {
            let me = Pid::own();
            let line = line(&[interpreter, script.to_str().unwrap(), "/x"]);
            let runs = line.runs(&Server::unlisted("a"), Path::new("/x"), me);
            runs.unwrap() == Runs::Config
        };
        let set_mode = |mode| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::write(&script, "").unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o755);
        assert!(runs("/usr/bin/python3.11"));
        set_mode(0o644);
        assert!(!runs("tail"));
        fs::remove_file(&script).unwrap();
        assert!(runs("python3"));
    }

    #[test]
    fn a_config_of_another_name_counts_when_it_is_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two, other) = (
            directory.path().join("1.conf"),
            directory.path().join("2.conf"),
            directory.path().join("3.conf"),
        );
        fs::write(&one, "").unwrap();
        fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&one, &two).unwrap();
        let me = Pid::own();
        let line = line(&["swift-a", one.to_str().unwrap()]);
        let runs = |config: &Path| {
            let runs = line.runs(&Server::unlisted("a"), config, me);
            runs.unwrap() == Runs::Config
        };
        assert!(runs(&two));
        assert!(!runs(&other));
        assert!(!runs(Path::new("/nonexistent")));
    }

    #[test]
    fn a_config_that_moved_to_another_source_counts() {
        let me = Pid::own();
        let expirer = swift_records::catalogue::Catalogue::load(Path::new("/nonexistent"))
            .unwrap()
            .server("object-expirer");
        let line = line(&["swift-object-expirer", "/etc/swift/object-expirer.conf"]);
        let runs =
            |config: &str| line.runs(&expirer, Path::new(config), me).unwrap() == Runs::Config;
        assert!(runs("/etc/swift/object-expirer.conf"));
        assert!(runs("/etc/swift/object-server.conf"));
        assert!(!runs("/etc/swift/object-server/1.conf"));
        assert!(!runs("/etc/object-server.conf"));
    }
}
