//! No room, in stages: for the lock, for the folder, for the pid file, for the rows. And a run directory
//! that cannot be written at all.

use std::fs;

use test_helpers::{Sandbox, finish, run};

use crate::assertions::{
    assert_tracked, listing, must, servers, sh, swift_init, tracked, unable, with_servers,
    without_limits,
};
use crate::failpoints::Points;

/// The line with which an instance is not started.
fn not_started(name: &str, why: &str) -> String {
    let why = match why {
        "lock" => "failed to start: cannot lock the run directory: cannot lock \
                   /var/run/swift/.swift-init.lock: No space left on device"
            .to_owned(),
        why => format!(
            "not started, since its pid file /var/run/swift/object-server/{name}.pid cannot be written: \
             {why}"
        ),
    };
    format!("swift-init: object-server (/etc/swift/object-server/{name}.conf): {why}\n")
}

/// What lies in the run directory as the namespace has it now, in one line.
fn files(sandbox: &Sandbox) -> String {
    must(
        sandbox,
        "cd /run/swift; find . -type f | sort | tr '\\n' ' '",
    )
}

/// Fails when the server is started before its pid file is there, or when the temporary file stays. The
/// original runs it untracked.
#[test]
fn disk_full_is_reported_at_each_step() {
    const FULL: &str = "No space left on device";
    for (options, fill, one, two, left) in [
        // The directory itself is the first inode.
        ("nr_inodes=1", ":", Some("lock"), Some("lock"), ""),
        (
            "nr_inodes=2",
            ":",
            Some(FULL),
            Some(FULL),
            "./.swift-init.lock ",
        ),
        (
            "nr_inodes=3",
            ":",
            Some(FULL),
            Some(FULL),
            "./.swift-init.lock ",
        ),
        (
            "nr_inodes=4",
            ":",
            None,
            Some(FULL),
            "./.swift-init.lock ./object-server/1.pid ",
        ),
        (
            "size=4k",
            "echo x >/run/swift/x",
            Some(FULL),
            Some(FULL),
            "./.swift-init.lock ./x ",
        ),
    ] {
        let sandbox = with_servers(&["1", "2"]);
        must(
            &sandbox,
            &format!("mount -t tmpfs -o {options} tmpfs /run/swift && {fill}"),
        );
        for _ in 0..2 {
            let outcome = run(&mut swift_init(&sandbox, "object start"));
            let told = |name, why: Option<&str>| why.map(|why| not_started(name, why));
            let told = [told("1", one), told("2", two)].map(Option::unwrap_or_default);
            assert_eq!(
                (outcome.code(), outcome.err()),
                (1, told.concat()),
                "{options}"
            );
            assert_eq!(files(&sandbox), left, "{options}");
            assert_eq!(
                servers(&sandbox).len(),
                usize::from(one.is_none()),
                "{options}"
            );
        }
        let stopped = run(&mut swift_init(&sandbox, "object stop"));
        assert_eq!(
            stopped.code(),
            i32::from(one.is_some()),
            "{options}: {stopped}"
        );
        assert_eq!(stopped.err(), "", "{options}");
    }
}

/// Fails when a restart stops what it cannot start again: nothing serves then. The original ends in a
/// traceback there.
#[test]
fn a_read_only_run_directory_leaves_servers_alone() {
    let sandbox = with_servers(&["1", "2"]);
    sandbox.install(&["object-updater"]);
    must(
        &sandbox,
        "mount -t tmpfs tmpfs /run/swift; swift-init object object-updater start",
    );
    must(&sandbox, "mount -o remount,ro /run/swift");
    let before = servers(&sandbox);
    assert_eq!(before.len(), 4);
    let why = "swift-init: cannot lock /var/run/swift/.swift-init.lock: Read-only file system\n";
    for (words, code, told) in [
        ("object status", 0, ""),
        ("object start", 1, ""),
        ("object restart", 1, why),
        ("object reload", 1, why),
        ("object reload-seamless", 0, ""),
        ("object-updater reload-seamless", 1, why),
    ] {
        let outcome = run(&mut swift_init(&sandbox, words));
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (code, told),
            "{words}"
        );
        assert_eq!(servers(&sandbox), before, "{words}");
    }
    // To stop is possible; the next command that may write removes the pid files.
    let outcome = run(&mut swift_init(&sandbox, "object stop"));
    let told = |name| {
        format!(
            "swift-init: object-server (/etc/swift/object-server/{name}.conf): pid file \
             /var/run/swift/object-server/{name}.pid: cannot remove: cannot lock \
             /var/run/swift/.swift-init.lock: Read-only file system"
        )
    };
    let err = outcome.err();
    let mut lines: Vec<&str> = err.lines().collect();
    lines.sort_unstable();
    assert_eq!((outcome.code(), lines), (1, vec![&*told("1"), &*told("2")]));
    assert_eq!(servers(&sandbox).len(), 2);
    must(&sandbox, "mount -o remount,rw /run/swift");
    must(&sandbox, "swift-init object start");
    assert_eq!(servers(&sandbox).len(), 4);
}

/// Fails when a directory that came into the pid file's place after the look makes the start go on, or
/// leaves the temporary file behind.
#[test]
fn a_rename_that_fails_starts_nothing() {
    let sandbox = with_servers(&["1"]);
    let points = Points::new(&sandbox);
    let numbered = points.pause_at("swift-spawn:child-numbered");
    let mut command = swift_init(&sandbox, "object start");
    let child = points
        .apply(&mut command)
        .stderr(std::process::Stdio::piped());
    let child = child
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it can be started");
    numbered.reached();
    let folder = sandbox.run_dir().join("object-server");
    fs::create_dir(folder.join("1.pid")).expect("it is ours");
    numbered.go();
    let outcome = finish(child);
    assert_eq!(
        (outcome.code(), outcome.err()),
        (1, not_started("1", "Is a directory"))
    );
    assert_eq!(fs::read_dir(&folder).expect("it is ours").count(), 1);
    assert_tracked(&sandbox, 0, "afterwards");
}

/// Fails when a full disk beneath the output ends a tool in the middle of its work: swift-signal left
/// the pid files of those that it had signalled. The original ends in a traceback, half done.
#[test]
fn a_full_output_is_reported_and_nothing_half_done() {
    let sandbox = with_servers(&["1", "2"]);
    let full =
        |tool: &str| format!("{tool}: cannot write standard output: No space left on device\n");
    let outside = listing(&sandbox.etc());
    for (command, up) in [
        ("status", 0),
        ("--help", 0),
        ("--version", 0),
        ("start --explain", 0),
        ("no-such-command", 0),
        ("start", 2),
        ("status", 2),
        ("restart", 2),
        ("reload", 2),
        ("reload-seamless", 2),
        ("stop", 0),
        ("kill", 0),
    ] {
        let outcome = sh(&sandbox, &format!("swift-init object {command} >/dev/full"));
        let told = outcome.err();
        let down = |line: &&str| line.contains(" is not running: ");
        let told: String = (told.split_inclusive('\n'))
            .filter(|line| !down(line))
            .collect();
        let mut wanted = match command {
            "no-such-command" => "swift-init: no such command: no-such-command\n".to_owned(),
            _ => String::new(),
        };
        if up > 0 && command != "status" {
            wanted += &format!("swift-init: {up} servers run all the same\n");
        }
        wanted += &full("swift-init");
        assert_eq!((outcome.code(), told), (1, wanted), "{command}");
        assert_tracked(&sandbox, up, command);
    }
    must(
        &sandbox,
        "swift-resolve-servers object >rows; swift-init object start",
    );
    must(&sandbox, "swift-pidfile <rows >running");
    for line in [
        "swift-resolve-servers object",
        "swift-resolve-servers --list",
        "swift-resolve-servers --help",
        "swift-pidfile <rows",
        "swift-check-config <running",
        "swift-reload <running",
        "swift-reload $(cat run/object-server/1.pid)",
        "swift-signal --children HUP <running",
        "swift-signal stop <running",
    ] {
        let outcome = sh(&sandbox, &format!("{line} >/dev/full"));
        let tool = line.split(' ').next().unwrap_or_default();
        let wanted = (unable(tool), full(tool));
        assert_eq!((outcome.code(), outcome.err()), wanted, "{line}");
    }
    // All that was signalled has ended, and none of it is tracked any more.
    assert_tracked(&sandbox, 0, "after swift-signal stop");
    assert!(tracked(&sandbox.run_dir()).is_empty());
    assert_eq!(listing(&sandbox.etc()), outside);
    let out = without_limits(&run(&mut swift_init(&sandbox, "object status")).out());
    assert_eq!(out, "No object-server running\n");
}
