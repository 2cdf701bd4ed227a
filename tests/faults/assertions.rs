//! What a test looks at besides what a command says: what runs, whether it is tracked, and whether
//! anything else was touched.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use test_helpers::{Outcome, Sandbox, run};

/// Prints `PID/cmdline` of every process in the namespace that runs a server: its program, or the script
/// that leads to it, and then a config.
const SERVERS: &str = r"cd /proc && \
    grep -lsaP '(^|/|\x00)swift-[a-z]+-[a-z]+\x00[^\x00]*\.conf' [0-9]*/cmdline || :";

/// The numbers of all processes in the sandbox's namespace that run a server. A zombie has no command
/// line, and so is none.
pub fn servers(sandbox: &Sandbox) -> BTreeSet<String> {
    let outcome = run(sandbox.command("sh").args(["-c", SERVERS]));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    let pid = |line: &str| line.trim_end_matches("/cmdline").to_owned();
    outcome.out().lines().map(pid).collect()
}

/// The numbers in the regular files that end in `.pid` beneath a directory.
pub fn tracked(run_dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(run_dir).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            found.extend(tracked(&entry.path()));
        } else if kind.is_file() && entry.path().extension().is_some_and(|e| e == "pid") {
            found.extend(fs::read_to_string(entry.path()));
        }
    }
    found
}

/// Asserts that this many servers run, and that each has its pid file.
pub fn assert_tracked(sandbox: &Sandbox, count: usize, when: &str) {
    let servers = servers(sandbox);
    let tracked = tracked(&sandbox.run_dir());
    assert_eq!(servers.len(), count, "{when}: {servers:?} run");
    assert!(
        servers.is_subset(&tracked),
        "{when}: {servers:?} {tracked:?}"
    );
}

/// Everything beneath a directory: path, inode, kind and mode, owner, size, and when it was changed.
pub fn listing(dir: &Path) -> Vec<String> {
    let status = fs::symlink_metadata(dir).expect("it can be looked at");
    let (seconds, nanoseconds) = (status.ctime(), status.ctime_nsec());
    let mut lines = vec![format!(
        "{} inode {} mode {:o} owner {} size {} changed {seconds}.{nanoseconds:09}",
        dir.display(),
        status.ino(),
        status.mode(),
        status.uid(),
        status.size(),
    )];
    if status.is_dir() {
        let entries = fs::read_dir(dir).expect("it can be read");
        let mut paths: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
        paths.sort();
        lines.extend(paths.iter().flat_map(|path| listing(path)));
    }
    lines
}

/// A sandbox in namespaces of its own, with object servers of these configs.
pub fn with_servers(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::in_namespace();
    sandbox.install(&["object-server"]);
    for name in names {
        sandbox.conf(&format!("object-server/{name}.conf"), "");
    }
    sandbox
}

/// Runs a line of shell in the sandbox's directory. Whoever enters a mount namespace stands at its root.
pub fn sh(sandbox: &Sandbox, line: &str) -> Outcome {
    let line = format!("cd {} && {line}", sandbox.path("").display());
    run(sandbox.command("sh").args(["-c", &line]))
}

/// Runs a line of shell that has to succeed, and gives what it printed.
pub fn must(sandbox: &Sandbox, line: &str) -> String {
    let outcome = sh(sandbox, line);
    assert_eq!(outcome.code(), 0, "{line}: {outcome}");
    outcome.out()
}

/// A command of swift-init in the sandbox.
pub fn swift_init(sandbox: &Sandbox, words: &str) -> Command {
    let mut command = sandbox.command("swift-init");
    command.args(words.split(' '));
    command
}

/// What the limits of this machine make swift-init say is left out.
pub fn without_limits(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("WARNING: Unable to modify"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The exit status of a tool that cannot do its job, by the words that call it: those that observe exit 3,
/// since 1 means that a row says what failed.
pub fn unable(line: &str) -> i32 {
    let observers = [
        "swift-resolve-servers",
        "swift-pidfile",
        "swift-check-config",
    ];
    let tool = line.split(' ').next().unwrap_or_default();
    if observers.contains(&tool) { 3 } else { 1 }
}
