//! Too few descriptors, and standard ones that are closed.

use std::fs;

use test_helpers::Sandbox;

use crate::assertions::{assert_tracked, must, servers, sh, unable, with_servers};
use crate::soak::times;

/// A command under a limit of open files, soft and hard, that not even root may raise.
fn limited(limit: usize, line: &str) -> String {
    format!("setpriv --bounding-set=-sys_resource prlimit --nofile={limit}:{limit} {line}")
}

/// Runs it, and says what it said and its exit status, which have to be those of a tool: no panic, no
/// signal, one line or more on standard error when it failed, each with the name of a tool.
fn run_limited(sandbox: &Sandbox, limit: usize, line: &str) -> (i32, String) {
    let outcome = sh(sandbox, &limited(limit, line));
    let (code, err) = (outcome.code(), outcome.err());
    // Where the tools are linked with shared libraries, the loader comes first.
    let loader = code == 127 && err.contains("error while loading shared libraries");
    let told = |line: &str| line.starts_with("swift-") && line.contains(": ");
    let clear = (code == 0 || code == 1 || code == unable(line))
        && err.lines().all(told)
        && (code == 0 || !err.is_empty());
    assert!(loader || clear, "{limit} descriptors, {line}: {outcome}");
    (code, err)
}

/// Fails when a restart begins to stop before it has all that it needs to start, or when a server is
/// started without its pid file.
#[test]
fn a_descriptor_limit_leaves_nothing_half_done() {
    let sandbox = with_servers(&["1", "2"]);
    let most = times(34, 48);
    for command in ["start", "restart", "reload", "reload-seamless", "stop"] {
        let up = command != "start";
        if up {
            must(&sandbox, "swift-init object start || test $? = 1");
        }
        let before = servers(&sandbox);
        for limit in (3..most).step_by(times(2, 1)) {
            let (code, _) = run_limited(&sandbox, limit, &format!("swift-init object {command}"));
            let when = format!("{limit} descriptors, {command}");
            if code == 0 {
                assert!(limit >= 32, "{when} are enough");
                assert_tracked(&sandbox, if command == "stop" { 0 } else { 2 }, &when);
                break;
            }
            assert_eq!(servers(&sandbox), before, "{when}");
        }
        must(&sandbox, "swift-init object kill");
    }
}

/// Fails when a look that was not possible counts as one at which nothing was seen.
#[test]
fn status_with_few_descriptors_is_right_or_an_error() {
    let sandbox = with_servers(&["1"]);
    must(&sandbox, "swift-init object start");
    let mut worked = 0;
    for limit in 3..24 {
        let (code, err) = run_limited(&sandbox, limit, "swift-init object status");
        worked += usize::from(code == 0);
        assert_eq!(err.is_empty(), code == 0, "{limit} descriptors: {err}");
    }
    assert!(worked > 0);
    assert_tracked(&sandbox, 1, "afterwards");
}

/// Fails when a tool counts on a descriptor that it may not get.
#[test]
fn the_tools_report_missing_descriptors() {
    let sandbox = with_servers(&["1", "2"]);
    must(
        &sandbox,
        "swift-resolve-servers object >rows; swift-pidfile <rows >stopped",
    );
    for limit in 3..times(22, 80) {
        for line in [
            "swift-resolve-servers object >/dev/null",
            "swift-resolve-servers --list >/dev/null",
            "swift-pidfile --clean <rows >/dev/null",
            "swift-check-config <stopped >/dev/null",
        ] {
            run_limited(&sandbox, limit, line);
        }
        let spawn = "swift-spawn --keep-limits <stopped >/dev/null";
        let (code, _) = run_limited(&sandbox, limit, spawn);
        let running = servers(&sandbox).len();
        assert!(
            code != 0 || running == 2,
            "{limit} descriptors: {running} run"
        );
        assert_tracked(&sandbox, running, &format!("{limit} descriptors"));
        if running < 2 {
            continue;
        }
        must(&sandbox, "swift-pidfile <rows >running");
        for line in [
            "swift-pidfile --running <rows >/dev/null",
            "swift-signal --children HUP <running >/dev/null",
            "swift-reload <running >/dev/null",
        ] {
            run_limited(&sandbox, limit, line);
        }
        assert_tracked(&sandbox, 2, &format!("{limit} descriptors"));
        let (code, err) = run_limited(&sandbox, limit, "swift-signal stop <running >/dev/null");
        assert!(code != 0 || servers(&sandbox).is_empty(), "{limit}: {err}");
        must(&sandbox, "swift-init object kill");
    }
}

/// Fails when a pid, a row or a message is written to a descriptor by its number that is another's by
/// now: a pid file that took the place of standard error would hold the messages.
#[test]
fn closed_standard_descriptors_are_not_reused() {
    let sandbox = with_servers(&["1", "2"]);
    let pid_file = sandbox.run_dir().join("object-server/1.pid");
    let lock = sandbox.run_dir().join(".swift-init.lock");
    let all = [
        ("<&-", 0, ""),
        (
            ">&-",
            1,
            "cannot write standard output: Bad file descriptor\n",
        ),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 1, ""),
        (">&- 2>&-", 1, ""),
    ];
    for (closed, code, end) in all {
        for command in ["start", "restart", "reload-seamless", "status"] {
            let outcome = sh(&sandbox, &format!("swift-init object {command} {closed}"));
            assert_eq!(outcome.code(), code, "{command} {closed}");
            let err = outcome.err();
            assert!(err.ends_with(end), "{command} {closed}: {err}");
            assert_eq!(err.is_empty(), end.is_empty(), "{command} {closed}: {err}");
            assert_tracked(&sandbox, 2, closed);
            let pid = fs::read_to_string(&pid_file).expect("it runs");
            assert!(pid.bytes().all(|b| b.is_ascii_digit()), "{closed}: {pid}");
            assert_eq!(fs::read(&lock).expect("it was made"), b"", "{closed}");
        }
        let line = format!("swift-init object no-such-command {closed}");
        assert_eq!(sh(&sandbox, &line).code(), 1, "{line}");
        let line = format!("swift-init object stop {closed}");
        assert_eq!(sh(&sandbox, &line).code(), code, "{line}");
        let rows = "swift-resolve-servers object | swift-pidfile >rows";
        must(&sandbox, rows);
        // A closed input is as /dev/null. With a closed output nothing is begun.
        let input = if closed.contains('<') { "" } else { "<rows" };
        let line = format!("swift-spawn --keep-limits {input} {closed}");
        assert_eq!(sh(&sandbox, &line).code(), code, "{line}");
        let none = input.is_empty() || code != 0;
        assert_tracked(&sandbox, if none { 0 } else { 2 }, &line);
        must(&sandbox, rows);
        for (tool, code) in [
            ("swift-pidfile --clean", 3 * code),
            ("swift-check-config", 3 * code),
            ("swift-reload", code),
        ] {
            let line = format!("{tool} {input} {closed}");
            assert_eq!(sh(&sandbox, &line).code(), code, "{line}");
        }
        let line = format!("swift-signal stop {input} {closed}");
        assert_eq!(sh(&sandbox, &line).code(), code, "{line}");
        assert_tracked(&sandbox, 0, &line);
        assert_eq!(fs::read(&lock).expect("it was made"), b"", "{closed}");
    }
}
