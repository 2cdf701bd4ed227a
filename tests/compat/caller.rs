//! Whatever the caller of the tests ignores or blocks, a scenario goes the same way.

use std::path::{Path, PathBuf};
use std::process::Command;

use test_helpers::run;

/// Ignores and blocks every signal that can be, then executes its arguments.
const HOSTILE: &str = "
import os, signal, sys
for number in signal.valid_signals():
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for fd in range(3):
    if str(fd) in sys.argv[1]:
        os.close(fd)
os.execv(sys.argv[2], sys.argv[2:])
";

const CONFIG: &str = include_str!("../../.cargo/config.toml");

/// The script that cargo runs every test through.
fn runner() -> PathBuf {
    let runner = CONFIG
        .lines()
        .find_map(|line| line.strip_prefix("runner = \""));
    let runner = runner.expect("cargo is told of a runner");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(runner.trim_end_matches('"'))
}

/// Runs a test of this program as a caller would that ignores and blocks all signals and has closed these
/// descriptors.
fn assert_passes(closed: &str, test: &str, scenario: &str) {
    let itself = std::env::current_exe().expect("a test knows its own path");
    let outcome = run(Command::new("python3")
        .args(["-c", HOSTILE, closed])
        .arg(runner())
        .arg(itself)
        .args(["--exact", test])
        .env("COMPAT_ONLY", scenario));
    assert_eq!(outcome.code(), 0, "{outcome}");
    // What it prints is lost where it has no output.
    if !closed.contains('1') {
        assert!(outcome.out().contains("1 passed"), "{outcome}");
    }
}

/// The scenario says what a server gets of that, and the original hands on what it got itself.
#[test]
fn a_test_may_be_started_with_every_signal_ignored_and_blocked() {
    assert_passes("", "start", "What a server of a script is started with");
}

#[test]
fn a_test_may_be_started_without_open_descriptors() {
    assert_passes("012", "start", "What a server of a script is started with");
}
