//! Private pids and mounts, in which a test's configuration stands at /etc/swift. The network is
//! private too: the notification sockets of Swift are named by pid in it, so two tests must not share
//! one. Nothing is up in it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::sandbox::tools_dir;

const STAGE: &str = include_str!("namespace.sh");

/// Fresh namespaces. All that runs in them is killed when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    /// `unshare`, whose only child is the namespaces' init; init ends when its input does.
    unshare: Child,
    init: u32,
}

impl Namespace {
    /// Makes namespaces in which `etc` lies over /etc/swift and `run` over /run/swift.
    ///
    /// # Panics
    /// When the machine refuses namespaces, with what it said.
    pub fn new(etc: &Path, run: &Path) -> Namespace {
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-current-user", "--keep-caps"]);
        }
        command
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--mount-proc",
                "--kill-child",
            ])
            .args(["sh", "-c", STAGE, "namespace"])
            .arg(tools_dir().join("namespace-init"))
            .args([etc, run])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut unshare = command.spawn().expect("unshare (util-linux) can be run");
        let stdout = unshare.stdout.take().expect("its output is a pipe");
        let mut ready = String::new();
        BufReader::new(stdout)
            .read_line(&mut ready)
            .expect("its output can be read");
        let init = ready
            .trim()
            .strip_prefix("ready")
            .and_then(|_| only_child(unshare.id()));
        let Some(init) = init else {
            let mut why = String::new();
            drop(unshare.stdin.take());
            let stderr = unshare.stderr.as_mut().expect("its error output is a pipe");
            stderr.read_to_string(&mut why).expect("it can be read");
            let _ = unshare.wait();
            panic!(
                "cannot make pid and mount namespaces, which this test needs: {why}\
                 run it as root or where unprivileged user namespaces are allowed, and build all \
                 programs first (cargo build --workspace --bins)"
            );
        };
        Namespace { unshare, init }
    }

    /// A command in the namespaces that runs this program. Add arguments, environment and directory
    /// to it as to any other.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--net", "--pid", "--", program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Init ends at the end of its input, and the kernel kills all others with it.
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
    }
}

/// The pid of a process's only child.
fn only_child(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.trim().parse().ok()
}
