//! System calls that a seccomp filter refuses, as container runtimes and systemd's SystemCallFilter= do.

use nix::libc;
use test_helpers::{Sandbox, run};

use crate::assertions::{must, servers, tracked, with_servers};

/// Runs a command that finds this system call refused. Gives its exit status and what it said on standard
/// error.
fn refusing(sandbox: &Sandbox, (call, error): (i64, i32), line: &str) -> (i32, String) {
    let mut command = sandbox.command("python3");
    let numbers = [call.to_string(), error.to_string()];
    let line = format!("cd {} && {line}", sandbox.path("").display());
    command
        .args(["-c", include_str!("../../helpers/src/refuse.py")])
        .args(numbers);
    let outcome = run(command.args(["sh", "-c", &line]));
    (outcome.code(), outcome.err())
}

/// Commands that open and signal processes.
const INSPECT: [&str; 3] = [
    "swift-signal stop <running >/dev/null",
    "swift-pidfile <running >/dev/null",
    "swift-reload <running >/dev/null",
];

/// Commands that start programs.
const EXECUTE: [&str; 3] = [
    "swift-check-config <running >/dev/null",
    "swift-reload <running >/dev/null",
    "swift-init object stop",
];

/// System calls, the errors that refuse them, and the commands that need them.
const CALLS: [(&str, i64, &[i32], &[&str]); 4] = [
    (
        "pidfd_open",
        libc::SYS_pidfd_open,
        &[libc::ENOSYS, libc::EPERM],
        &INSPECT,
    ),
    (
        "pidfd_send_signal",
        libc::SYS_pidfd_send_signal,
        &[libc::ENOSYS],
        &INSPECT,
    ),
    (
        "close_range",
        libc::SYS_close_range,
        &[libc::ENOSYS, libc::EPERM],
        &EXECUTE,
    ),
    (
        "waitid",
        libc::SYS_waitid,
        &[libc::ENOSYS, libc::EPERM],
        &[EXECUTE[0], EXECUTE[1]],
    ),
];

/// Fails when the message has only the error's code, when a server is signalled or doubled, or
/// when a start that failed leaves a pid file.
#[test]
fn a_refused_system_call_is_named_and_nothing_half_done() {
    let sandbox = with_servers(&["1"]);
    must(
        &sandbox,
        "swift-init object start; swift-resolve-servers object | swift-pidfile >running",
    );
    let before = servers(&sandbox);
    for (name, call, errors, lines) in CALLS {
        for (error, line) in errors
            .iter()
            .flat_map(|e| lines.iter().map(move |l| (*e, l)))
        {
            let (code, err) = refusing(&sandbox, (call, error), line);
            let told = format!("{name}(2) is refused (it needs Linux ");
            assert!(
                code != 0 && err.contains(&told),
                "{name} {line}: {code} {err}"
            );
            assert_eq!(err.lines().count(), 1, "{name} {line}: {err}");
            assert_eq!(servers(&sandbox), before, "{name} {line}");
        }
    }
    must(
        &sandbox,
        "swift-init object stop; swift-resolve-servers object | swift-pidfile >stopped",
    );
    for error in [libc::ENOSYS, libc::EPERM] {
        let line = "swift-spawn --keep-limits <stopped >/dev/null";
        let (code, err) = refusing(&sandbox, (libc::SYS_close_range, error), line);
        assert!(
            code == 1 && err.contains(": close_range(2) is refused"),
            "{err}"
        );
        assert!(tracked(&sandbox.run_dir()).is_empty() && servers(&sandbox).is_empty());
    }
}
