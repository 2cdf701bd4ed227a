//! A directory in which servers may be started, and everything started is ended again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::namespace::Namespace;
use crate::pids;

/// All servers that the original knows.
pub const SERVERS: [&str; 18] = [
    "account-auditor",
    "account-reaper",
    "account-replicator",
    "account-server",
    "container-auditor",
    "container-reconciler",
    "container-replicator",
    "container-server",
    "container-sharder",
    "container-sync",
    "container-updater",
    "object-auditor",
    "object-expirer",
    "object-reconstructor",
    "object-replicator",
    "object-server",
    "object-updater",
    "proxy-server",
];

/// The directory of the tools under test: where cargo puts the programs beside this very test.
///
/// # Panics
/// When `fake-server` is not there, since then the programs were not built.
pub fn tools_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own path");
        let dir = test.ancestors().find(|dir| dir.join("fake-server").is_file());
        dir.unwrap_or_else(|| {
            panic!(
                "no fake-server above {}: build all programs first (cargo build --workspace --bins)",
                test.display()
            )
        })
        .to_owned()
    })
}

/// A temporary directory with `etc/` (the Swift directory), `run/` (the run directory) and `bin/`
/// (the programs). When it is dropped, every fake server started in it is killed.
#[derive(Debug)]
pub struct Sandbox {
    /// Dropped first: its processes end before their directory goes.
    namespace: Option<Namespace>,
    dir: TempDir,
    /// A system call that its commands are refused, and the error that they get.
    refused: Option<(i64, i32)>,
}

/// Refuses a command and all that it starts one system call.
const REFUSE: &str = include_str!("refuse.py");

impl Sandbox {
    /// An empty sandbox: no configuration, no program installed.
    pub fn new() -> Sandbox {
        let dir = tempfile::Builder::new().prefix("swift-test-").tempdir();
        let sandbox = Sandbox {
            namespace: None,
            dir: dir.expect("a temporary directory"),
            refused: None,
        };
        for part in ["etc", "run", "bin"] {
            fs::create_dir(sandbox.path(part)).expect("the sandbox can be written");
        }
        // Servers of other users look at their configuration and write into the book.
        set_mode(&sandbox.path(""), 0o755);
        fs::write(sandbox.book(), "").expect("the sandbox can be written");
        set_mode(&sandbox.book(), 0o666);
        sandbox
    }

    /// An empty sandbox in namespaces of its own: there, `etc/` is /etc/swift and `run/` is
    /// /run/swift, and the pids are few and small.
    pub fn in_namespace() -> Sandbox {
        let mut sandbox = Sandbox::new();
        sandbox.namespace = Some(Namespace::new(&sandbox.etc(), &sandbox.run_dir()));
        sandbox
    }

    /// From now on its commands, and all that they start, get this error (errno(3)) for this system
    /// call instead of what it does.
    pub fn refuse(&mut self, call: i64, error: i32) {
        self.refused = Some((call, error));
    }

    /// A path in the sandbox.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The Swift directory.
    pub fn etc(&self) -> PathBuf {
        self.path("etc")
    }

    /// The run directory.
    pub fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    /// Installs `swift-NAME` for each name: a link to the fake server.
    pub fn install(&self, names: &[&str]) {
        for name in names {
            let program = self.path("bin").join(format!("swift-{name}"));
            symlink(tools_dir().join("fake-server"), program).expect("a link can be made");
        }
    }

    /// Installs `swift-NAME` as a script, as the real servers are, that leads to the fake server.
    pub fn install_script(&self, name: &str) {
        let program = self.path("bin").join(format!("swift-{name}"));
        // The fake server's own runtime ignores SIGPIPE before its first line, so the script looks.
        let text = format!(
            "#!/bin/sh\nFAKE_SERVER_SIGNALS=$(grep ^Sig /proc/self/status)\n\
             export FAKE_SERVER_SIGNALS\nexec {} \"$0\" \"$@\"\n",
            tools_dir().join("fake-server").display()
        );
        fs::write(&program, text).expect("a script can be written");
        set_mode(&program, 0o755);
    }

    /// Installs a program of this name, with these lines of shell; replaces one that is there.
    pub fn script(&self, name: &str, lines: &str) {
        let program = self.path("bin").join(name);
        // What is executed at this moment cannot be written to, and a link leads elsewhere.
        let _ = fs::remove_file(&program);
        fs::write(&program, format!("#!/bin/sh\n{lines}\n")).expect("a script can be written");
        set_mode(&program, 0o755);
    }

    /// Writes a configuration file beneath the Swift directory: a `[DEFAULT]` section with these
    /// lines, which may open further sections. Returns its path.
    pub fn conf(&self, name: &str, lines: &str) -> PathBuf {
        self.write(&self.etc().join(name), format!("[DEFAULT]\n{lines}\n"))
    }

    /// Writes a pid file beneath the run directory. Returns its path.
    pub fn pid_file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.write(&self.run_dir().join(name), content)
    }

    fn write(&self, path: &Path, content: impl AsRef<[u8]>) -> PathBuf {
        let parent = path.parent().expect("a file lies in a directory");
        fs::create_dir_all(parent).expect("the sandbox can be written");
        fs::write(path, content).expect("the sandbox can be written");
        path.to_owned()
    }

    /// A command with an environment of its own (PATH, HOME, LANG and the book of servers), in the
    /// sandbox's namespaces if it has any. PATH leads to `bin/`, then to the tools under test, then
    /// to the system's programs.
    pub fn command(&self, program: &str) -> Command {
        let first = if self.refused.is_some() {
            "python3"
        } else {
            program
        };
        let mut command = match &self.namespace {
            Some(namespace) => namespace.command(first),
            None => Command::new(self.find(first)),
        };
        if let Some((call, error)) = self.refused {
            command.args(["-c", REFUSE, &call.to_string(), &error.to_string(), program]);
        }
        let (bin, tools) = (self.path("bin"), tools_dir());
        let path = format!("{}:{}:{SYSTEM_PATH}", bin.display(), tools.display());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path(""))
            .env("LANG", "C.UTF-8")
            .env(pids::BOOK, self.book())
            .current_dir(self.path(""));
        command
    }

    /// The path of a program as the command's own PATH would give it.
    fn find(&self, program: &str) -> PathBuf {
        let dirs = [self.path("bin"), tools_dir().to_owned()];
        let found = dirs
            .iter()
            .map(|dir| dir.join(program))
            .find(|path| path.exists());
        found.unwrap_or_else(|| program.into())
    }

    fn book(&self) -> PathBuf {
        self.path("pids")
    }
}

const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::new()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.namespace.is_none() {
            pids::kill_all(&self.book());
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
}
