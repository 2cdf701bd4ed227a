//! A small real Swift on loopback: OpenStack's own servers, in a laboratory of `tests/lab`.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::run::{Outcome, run};
use crate::sandbox::tools_dir;

/// A laboratory with four main servers and fourteen daemons configured, none of them started. All
/// that runs in it is killed when this is dropped, and its directory removed.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    url: String,
}

impl Lab {
    /// Makes a laboratory.
    ///
    /// # Panics
    /// When SWIFT_VENV is not set, or the machine is not fit for one; says why.
    pub fn new() -> Lab {
        let made = run(lab_script().arg("create"));
        assert_eq!(made.code(), 0, "no laboratory: {}", made.err());
        let dir = PathBuf::from(made.out().trim());
        // From here on the directory is removed even when the rest fails.
        let mut lab = Lab {
            dir,
            url: String::new(),
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
        let path = std::env::var("PATH").expect("the test has a PATH");
        let tools = tools_dir().display();
        command
            .env("PATH", format!("{tools}:{}/bin:{path}", venv().display()))
            .arg(&self.dir)
            .arg(program);
        command
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
        let outcome = run(lab_script().arg("processes").arg(&self.dir));
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
        let removed = run(lab_script().arg("remove").arg(&self.dir));
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
        let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
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

    /// Whether it still runs. A process that ended and was not yet waited for does not.
    pub fn runs(&self) -> bool {
        !self.ends_within(Duration::ZERO)
    }

    /// Waits for its end; says whether it came in time.
    ///
    /// # Panics
    /// When the kernel refuses to wait.
    pub fn ends_within(&self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).expect("a time limit fits");
        let mut pidfd = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut pidfd, Some(&limit)).expect("a pidfd can be waited for") > 0
    }
}

/// lab.py, under the Python that has Swift.
fn lab_script() -> Command {
    let mut command = Command::new(venv().join("bin/python3"));
    command.arg(script_dir().join("lab.py"));
    command
}

/// The virtual environment with Swift's servers.
fn venv() -> PathBuf {
    let Some(venv) = std::env::var_os("SWIFT_VENV") else {
        panic!(
            "SWIFT_VENV is not set, and this test needs Swift's own servers: run `make test`, or \
             `tests/lab/setup-venv DIR` once and the test with SWIFT_VENV=DIR"
        );
    };
    venv.into()
}

/// Where the laboratory's scripts lie.
fn script_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab")
}
