//! A small real Swift on loopback: OpenStack's own servers, in a laboratory of `tests/lab`.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::pidfd;
use crate::run::{Outcome, run};
use crate::sandbox::tools_dir;

/// A laboratory with four main servers and fourteen daemons configured, none of them started. All
/// that runs in it is killed when this is dropped, and its directory removed.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    url: String,
    /// Where Swift's programs lie.
    programs: PathBuf,
}

impl Lab {
    /// Makes a laboratory on the newest release of Swift.
    ///
    /// # Panics
    /// When its virtual environment is not there, or the machine is not fit for a laboratory; says why.
    pub fn new() -> Lab {
        Lab::on(&venv(NEWEST))
    }

    /// Makes a laboratory on the Swift of a virtual environment.
    ///
    /// # Panics
    /// When the machine is not fit for one; says why.
    pub fn on(venv: &Path) -> Lab {
        let made = run(lab_script(venv.join("bin/python3")).arg("create"));
        assert_eq!(made.code(), 0, "no laboratory: {}", made.err());
        let dir = PathBuf::from(made.out().trim());
        // From here on the directory is removed even when the rest fails.
        let mut lab = Lab {
            dir,
            url: String::new(),
            programs: venv.join("bin"),
        };
        let env = fs::read_to_string(lab.dir.join("lab.env")).expect("lab.py wrote lab.env");
        lab.url = env
            .lines()
            .find_map(|line| line.strip_prefix("LAB_URL="))
            .expect("lab.env names the proxy's URL")
            .to_owned();
        lab
    }

    /// A command inside the laboratory, where its configs are /etc/swift and its run directory is
    /// /run/swift. PATH leads to the tools under test, then to Swift's servers.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(script_dir().join("enter"));
        command
            .env("PATH", self.search_path())
            .arg(&self.dir)
            .arg(program);
        command
    }

    /// The same in a network of the command's own, in which Linux hands connections that wait at a closed
    /// socket over to the next one: there a seamless reload loses nothing. The laboratory's address is
    /// there for this command alone.
    pub fn command_in_network(&self, program: &str) -> Command {
        let mut command = Command::new(script_dir().join("network"));
        command
            .env("PATH", self.search_path())
            .arg(script_dir().join("enter"))
            .arg(&self.dir)
            .arg(program);
        command
    }

    fn search_path(&self) -> String {
        let path = std::env::var("PATH").expect("the test has a PATH");
        let tools = tools_dir().display();
        format!("{tools}:{}:{path}", self.programs.display())
    }

    /// The directory of the laboratory, which holds `lab.env`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a line of shell inside the laboratory.
    ///
    /// # Panics
    /// When it cannot be run or does not end in time.
    pub fn sh(&self, line: &str) -> Outcome {
        run(self.command("sh").args(["-c", line]))
    }

    /// Runs a line of shell inside the laboratory, which has to succeed.
    ///
    /// # Panics
    /// When it exits with anything but 0; says what was printed.
    pub fn must(&self, line: &str) -> Outcome {
        let outcome = self.sh(line);
        assert_eq!(outcome.code(), 0, "{line}: {outcome}");
        outcome
    }

    /// Where the proxy answers: address and port.
    pub fn proxy_address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The Swift directory, from outside.
    pub fn etc(&self) -> PathBuf {
        self.dir.join("etc")
    }

    /// Changes a file of the Swift directory: `from` is replaced by `to`.
    ///
    /// # Panics
    /// When the file has no such text.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.etc().join(file);
        let text = fs::read_to_string(&path).expect("the laboratory's configs can be read");
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replace(from, to)).expect("the laboratory's configs can be written");
    }

    /// The pid file of a server, from outside.
    pub fn pid_file(&self, server: &str) -> PathBuf {
        self.dir.join("run").join(server).with_extension("pid")
    }

    /// The process that a server's pid file names.
    ///
    /// # Panics
    /// When there is no such file, or no such process.
    pub fn server(&self, server: &str) -> Process {
        let text = fs::read_to_string(self.pid_file(server)).expect("the server has a pid file");
        Process::open(text.parse().expect("a pid file holds a pid")).expect("the server runs")
    }

    /// The pids of all that run in the laboratory.
    ///
    /// # Panics
    /// When the laboratory's script fails.
    pub fn processes(&self) -> Vec<i32> {
        let outcome = run(lab_script("python3").arg("processes").arg(&self.dir));
        assert_eq!(outcome.code(), 0, "{outcome}");
        let pids = outcome.out();
        pids.lines().filter_map(|pid| pid.parse().ok()).collect()
    }
}

impl Default for Lab {
    fn default() -> Self {
        Lab::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let removed = run(lab_script("python3").arg("remove").arg(&self.dir));
        // A second panic would end all other tests as well.
        if !std::thread::panicking() {
            assert_eq!(removed.code(), 0, "{removed}");
        }
    }
}

/// A process of the laboratory, held by its pidfd: what is asked is never answered by another one
/// that got the same pid.
#[derive(Debug)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    pidfd: OwnedFd,
}

impl Process {
    /// The process with this pid, if there is one.
    pub fn open(pid: i32) -> Option<Process> {
        let pidfd = pidfd::open(pid)?;
        Some(Process { pid, pidfd })
    }

    /// Its children that run now: a manager's workers. One that has ended is not among them, though the
    /// kernel lists it until its parent has waited for it.
    pub fn children(&self) -> Vec<Process> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid);
        let pids = fs::read_to_string(path).unwrap_or_default();
        let pids = pids.split_whitespace().filter_map(|pid| pid.parse().ok());
        let children = pids.filter_map(Process::open);
        children.filter(Process::runs).collect()
    }

    /// True while it runs. A process that ended and was not yet waited for does not.
    pub fn runs(&self) -> bool {
        !self.ends_within(Duration::ZERO)
    }

    /// Its command line, word by word; none when it has ended.
    pub fn words(&self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty());
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    /// Its pid in its own namespace.
    pub fn inner_pid(&self) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find(|line| line.starts_with("NSpid:"))?;
        line.split_whitespace().last()?.parse().ok()
    }

    /// Kills it, if it still runs.
    pub fn kill(&self) {
        pidfd::kill(&self.pidfd);
    }

    /// Waits for its end; says whether it came in time.
    ///
    /// # Panics
    /// When the kernel refuses to wait.
    pub fn ends_within(&self, limit: Duration) -> bool {
        pidfd::readable_within(&self.pidfd, limit)
    }
}

/// lab.py, under this Python.
pub(crate) fn lab_script(python: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(python);
    command.arg(script_dir().join("lab.py"));
    command
}

/// The release of Swift that every test runs on which names no other.
pub const NEWEST: &str = "2.38";

/// The virtual environment with the servers of a release of Swift: for the newest SWIFT_VENV, if that is
/// set; else the release's directory in SWIFT_VENVS.
///
/// # Panics
/// When it is not there, and says how to make it.
pub fn venv(release: &str) -> PathBuf {
    let newest = std::env::var_os("SWIFT_VENV").filter(|_| release == NEWEST);
    let all = std::env::var_os("SWIFT_VENVS").map(|all| Path::new(&all).join(release));
    let Some(venv) = newest.map(PathBuf::from).or(all) else {
        panic!(
            "neither SWIFT_VENV nor SWIFT_VENVS is set, and this test needs Swift's own servers: run \
             `make test`, or `tests/lab/setup-venv {release} DIR/{release}` once and the test with \
             SWIFT_VENVS=DIR"
        );
    };
    assert!(
        venv.join("bin/swift-proxy-server").exists(),
        "swift {release} is not in {0}: run `tests/lab/setup-venv {release} {0}`",
        venv.display()
    );
    venv
}

/// Where the laboratory's scripts lie.
pub(crate) fn script_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab")
}
