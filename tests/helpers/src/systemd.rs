//! A live systemd, process 1 of namespaces of a test's own (`tests/lab/systemd`), with the tools under
//! test in /usr/bin and the project's units installed.

mod journal;
mod swift;

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{Process, script_dir};
use crate::load::Load;
use crate::report;
use crate::run::{LIMIT, Outcome, run};
use crate::sandbox::tools_dir;
pub use journal::Journal;

/// Exit status of `tests/lab/systemd` where the machine cannot do it.
const UNFIT: i32 = 3;

/// Between two looks at a state that no event announces.
const PAUSE: Duration = Duration::from_millis(20);

/// The helpers that are there beside the tools.
const HELPERS: [&str; 3] = ["fake-server", "http-client", "http-worker"];

/// The units as they are installed: their programs are in /usr/bin.
const UNITS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/installed/systemd"
);

/// Where the units lie inside.
pub const UNIT_DIR: &str = "/usr/local/lib/systemd/system";

/// Namespaces in which systemd is up. When this is dropped, all in them is killed and nothing is left.
#[derive(Debug)]
pub struct Machine {
    /// `tests/lab/systemd`, which ends when its input does.
    script: Child,
    /// The pid of its process 1.
    init: u32,
}

/// The root directory of the systemd that is tested, from SYSTEMD_ROOT; the machine's own if that is
/// not set or empty.
pub fn root() -> PathBuf {
    let named = std::env::var_os("SYSTEMD_ROOT").filter(|root| !root.is_empty());
    named.map_or_else(|| "/".into(), PathBuf::from)
}

/// The script that brings systemd up.
pub fn script() -> PathBuf {
    script_dir().join("systemd")
}

/// Runs the script, or what runs it in turn, and waits until systemd is up. Returns the process, which
/// takes systemd down when its input ends, and the pid of process 1. Where this machine cannot do that
/// there is none, and standard error has said why, once for all tests of a program.
///
/// # Panics
/// When systemd does not come up though the machine is fit for it.
pub fn bring_up(command: &mut Command) -> Option<(Child, u32)> {
    static UNFIT_BECAUSE: OnceLock<String> = OnceLock::new();
    if UNFIT_BECAUSE.get().is_some() {
        return None;
    }
    let mut stderr = tempfile::tempfile().expect("a temporary file");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(stderr.try_clone().expect("a descriptor"));
    let mut child = command.spawn().expect("it can be run");
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("its output is a pipe"))
        .read_line(&mut ready)
        .expect("its output can be read");
    if let Some(init) = ready.strip_prefix("ready ") {
        return Some((child, init.trim().parse().expect("a pid")));
    }
    let status = child.wait().expect("it has ended");
    let mut why = String::new();
    stderr.rewind().expect("a file");
    stderr.read_to_string(&mut why).expect("it can be read");
    assert_eq!(status.code(), Some(UNFIT), "{why}");
    UNFIT_BECAUSE.get_or_init(|| {
        report(&format!(
            "not played: tests on a live systemd: {}",
            why.trim()
        ));
        why
    });
    None
}

impl Machine {
    /// Brings systemd up, which takes half a second. Where this machine cannot do that there is none, and
    /// standard error has said so, once for all tests of a program: the test is not played.
    ///
    /// # Panics
    /// When systemd does not come up though the machine is fit for it.
    pub fn boot() -> Option<Machine> {
        Machine::boot_with(&[])
    }

    /// The same, with files and directories of this machine shown at other places, read-only.
    pub fn boot_with(binds: &[(PathBuf, String)]) -> Option<Machine> {
        let mut command = Command::new(script());
        command.arg("-r").arg(root());
        for name in tools().iter().map(String::as_str).chain(HELPERS) {
            let program = tools_dir().join(name);
            command.args(["-b", &format!("{}:/usr/bin/{name}", program.display())]);
        }
        for (source, place) in binds {
            command.args(["-b", &format!("{}:{place}", source.display())]);
        }
        let (script, init) = bring_up(&mut command)?;
        let machine = Machine { script, init };
        machine.install_units();
        Some(machine)
    }

    /// Installs the units of the project as `make install` does.
    fn install_units(&self) {
        for entry in fs::read_dir(UNITS).expect("the units are there") {
            let path = entry.expect("the directory can be read").path();
            let is_unit = |e| e == "service" || e == "target" || e == "slice";
            if path.extension().is_some_and(is_unit) {
                let text = fs::read_to_string(&path).expect("it can be read");
                let name = path.file_name().and_then(|name| name.to_str());
                self.write(&format!("{UNIT_DIR}/{}", name.expect("UTF-8")), &text);
            }
        }
    }

    /// The path, seen from outside, of what is at a path inside. It is right as long as no link on the way
    /// is absolute.
    pub fn path(&self, inside: &str) -> PathBuf {
        let inside = inside.trim_start_matches('/');
        Path::new(&format!("/proc/{}/root", self.init)).join(inside)
    }

    /// Writes a file anew, and the directories that lead to it.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.path(path);
        let parent = file.parent().expect("a file lies in a directory");
        fs::create_dir_all(parent).expect("the root directory is ours");
        // What is executed at this moment cannot be written to.
        let _ = fs::remove_file(&file);
        fs::write(file, text).expect("the root directory is ours");
    }

    /// Writes a program anew.
    pub fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(path), mode).expect("it is ours");
    }

    /// A drop-in of a unit. Units that were loaded before want `systemctl daemon-reload`.
    pub fn drop_in(&self, unit: &str, text: &str) {
        self.write(&format!("/etc/systemd/system/{unit}.d/test.conf"), text);
    }

    /// The text of a file; nothing when it is not there.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Installs `/usr/bin/swift-NAME` for each name: a link to the fake server, which behaves as its config
    /// says.
    pub fn fake_servers(&self, names: &[&str]) {
        for name in names {
            let link = self.path(&format!("/usr/bin/swift-{name}"));
            symlink("/usr/bin/fake-server", link).expect("the root directory is ours");
        }
    }

    /// A user and a group of this name, unless they are there.
    pub fn user(&self, name: &str) {
        self.must(&format!(
            "id {name} >/dev/null 2>&1 || {{ echo 'u {name} - - /var/lib/{name}' >/run/{name}.conf &&
             systemd-sysusers /run/{name}.conf; }}"
        ));
    }

    /// A command inside, with an environment of its own, as root of a machine would give it by hand.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init));
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]);
        command.args(["--root", "--wd", "--", program]);
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("SYSTEMD_COLORS", "0")
            .env("SYSTEMD_PAGER", "cat");
        command
    }

    /// Runs a line of shell inside.
    pub fn sh(&self, line: &str) -> Outcome {
        run(self.command("sh").args(["-c", line]))
    }

    /// Runs a line of shell inside that has to succeed.
    ///
    /// # Panics
    /// When it exits with anything but 0; says what it printed and the journal.
    pub fn must(&self, line: &str) -> Outcome {
        let outcome = self.sh(line);
        assert_eq!(outcome.code(), 0, "{line}: {outcome}\n{}", self.states());
        outcome
    }

    /// A property of a unit, such as `ActiveState`.
    pub fn property(&self, unit: &str, name: &str) -> String {
        let outcome = self.must(&format!("systemctl show --value -p {name} '{unit}'"));
        outcome.out().trim().to_owned()
    }

    /// The pid of a unit's main process as processes inside know it; 0 when there is none.
    pub fn main_pid(&self, unit: &str) -> u32 {
        self.property(unit, "MainPID").parse().expect("a pid")
    }

    /// The processes of a unit, as this machine knows them: all in its cgroup.
    pub fn processes(&self, unit: &str) -> Vec<Process> {
        let cgroup = self.property(unit, "ControlGroup");
        self.processes_in(&cgroup)
    }

    /// The processes in a cgroup, such as the `ControlGroup` of a unit, without asking systemd.
    pub fn processes_in(&self, cgroup: &str) -> Vec<Process> {
        let pids = self.read(&format!("/sys/fs/cgroup{cgroup}/cgroup.procs"));
        let pids = pids.lines().filter_map(|pid| pid.parse().ok());
        pids.filter_map(Process::open).collect()
    }

    /// The version of the systemd that is up.
    pub fn version(&self) -> u32 {
        let output = self.must("systemctl --version").out();
        let number = output.split_whitespace().nth(1).map(str::parse);
        number.and_then(Result::ok).expect("a version")
    }

    /// The messages of a unit's processes and of systemd about it.
    pub fn journal(&self, unit: &str) -> String {
        let line = format!("journalctl --sync; journalctl -q --no-pager -o short-unix -u '{unit}'");
        self.must(&line).out()
    }

    /// Follows a unit's messages from here on.
    pub fn follow(&self, unit: &str) -> Journal {
        let mut command = self.command("timeout");
        command.arg(LIMIT.as_secs().to_string());
        command.args([
            "journalctl",
            "-q",
            "-f",
            "-n",
            "all",
            "-o",
            "cat",
            "-u",
            unit,
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Journal::new(command)
    }

    /// Waits until something is so that no event announces, with a look every 20 ms.
    ///
    /// # Panics
    /// When it does not come; says what runs, and the journal.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "not seen: {what}\n{}",
                self.states()
            );
            thread::sleep(PAUSE);
        }
    }

    /// Waits until a property of a unit has a value.
    pub fn until_property(&self, unit: &str, name: &str, value: &str) {
        self.until(&format!("{name}={value} of {unit}"), || {
            self.property(unit, name) == value
        });
    }

    /// Loads a server from here on: `new` clients that connect for each request, `kept` ones on connections
    /// that they keep.
    pub fn load(&self, address: &str, new: usize, kept: usize) -> Load {
        self.load_path(address, "/", new, kept)
    }

    /// The same with requests for a path.
    pub fn load_path(&self, address: &str, path: &str, new: usize, kept: usize) -> Load {
        Load::begin(self.command("http-client"), address, path, new, kept)
    }

    /// The answer to `GET PATH`.
    pub fn get(&self, address: &str, path: &str) -> String {
        self.must(&format!("http-client get '{address}' '{path}'"))
            .out()
    }

    /// All that runs, and the journal, for a test that failed.
    pub fn states(&self) -> String {
        let line = "systemctl --no-pager --full status; journalctl --sync; journalctl --no-pager -o short-unix";
        self.sh(line).out()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

/// The tools of the project, from the directories that they are in.
fn tools() -> Vec<String> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools");
    let entries = fs::read_dir(tools).expect("the tools are there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect()
}
