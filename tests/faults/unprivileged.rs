//! A user who owns the run directory and nothing else: all of it works, and what cannot is said once.

mod foreign_pid_file;
mod notify_socket_taken;
mod other_users;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use test_helpers::{Outcome, Sandbox};

use crate::assertions::{assert_tracked, must, servers, sh, with_servers};

/// Whose the run directory is.
const OWNER: u32 = 65533;

/// Object servers 1 and 2, and a run directory of the user's. None when this is not root, who alone can be
/// two users.
fn fixture() -> Option<Sandbox> {
    if !nix::unistd::geteuid().is_root() {
        let told = writeln!(
            std::io::stderr(),
            "not played: to be two users one has to be root"
        );
        told.expect("standard error is open");
        return None;
    }
    let sandbox = with_servers(&["1", "2"]);
    must(
        &sandbox,
        &format!("chown {OWNER}:{OWNER} run; mkdir out; chmod 777 out"),
    );
    Some(sandbox)
}

/// Runs a line of shell as the user, without a capability.
fn as_user(sandbox: &Sandbox, line: &str) -> Outcome {
    as_number(sandbox, OWNER, line)
}

fn as_number(sandbox: &Sandbox, user: u32, line: &str) -> Outcome {
    fs::write(sandbox.path("line"), line).expect("the sandbox can be written");
    let become_user =
        format!("setpriv --reuid={user} --regid={user} --clear-groups --inh-caps=-all");
    sh(sandbox, &format!("{become_user} sh line"))
}

fn init_as_user(sandbox: &Sandbox, words: &str) -> Outcome {
    as_user(sandbox, &format!("swift-init object {words}"))
}

/// The user of a server's process and of its pid file.
fn owners(sandbox: &Sandbox) -> Vec<(String, u32)> {
    let pids = servers(sandbox);
    let list = format!(
        "stat -c %u {}",
        pids.iter()
            .map(|p| format!("/proc/{p} "))
            .collect::<String>()
    );
    let users = must(sandbox, &list);
    let file = sandbox.run_dir().join("object-server/1.pid");
    let owner = fs::metadata(file).expect("it runs").uid();
    users.lines().map(|user| (user.to_owned(), owner)).collect()
}

/// Fails when a command wants to be root. The limits are told once a command, in the original's words,
/// and only by those that start something.
#[test]
fn the_owner_of_the_run_directory_can_use_every_command() {
    let Some(sandbox) = fixture() else { return };
    let limits = "prlimit --nofile=1024:1024 --nproc=4096:4096";
    let warnings = "WARNING: Unable to modify file descriptor limit.  Running as non-root?\n\
                    WARNING: Unable to modify max process limit.  Running as non-root?\n";
    for (command, up, starts) in [
        ("start", 2, true),
        ("status", 2, false),
        ("restart", 2, true),
        ("reload", 2, true),
        ("reload-seamless", 2, false),
        ("stop", 0, false),
        ("no-wait", 2, true),
        ("kill", 0, false),
    ] {
        let outcome = as_user(&sandbox, &format!("{limits} swift-init object {command}"));
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (0, ""),
            "{command}: {outcome}"
        );
        let told = outcome.out();
        let told: String = told
            .lines()
            .filter(|line| line.starts_with("WARNING"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(told, if starts { warnings } else { "" }, "{command}");
        if command != "no-wait" {
            assert_tracked(&sandbox, up, command);
        }
        if up > 0 {
            assert_eq!(
                owners(&sandbox),
                [(OWNER.to_string(), OWNER), (OWNER.to_string(), OWNER)]
            );
        }
    }
    let pipeline = "swift-resolve-servers object | swift-pidfile --clean | swift-check-config | \
                    swift-signal --wait=15 stop | swift-spawn --keep-limits | cut -f 6";
    let outcome = as_user(&sandbox, pipeline);
    assert_eq!(outcome.err(), "");
    assert_eq!(outcome.out().matches("ready").count(), 2, "{outcome}");
    let outcome = as_user(
        &sandbox,
        "swift-reload $(cat /run/swift/object-server/1.pid)",
    );
    assert_eq!(outcome.out(), "Reloaded swift-object-server\n", "{outcome}");
    assert_tracked(&sandbox, 2, "a pipeline");
}

/// Fails when a directory is made with the umask's own mode first: its owner could not enter it.
#[test]
fn every_umask_works() {
    let Some(sandbox) = fixture() else { return };
    for umask in ["777", "000"] {
        let run_dir = format!("/run/swift/{umask}/swift");
        let line = format!("umask {umask}; swift-init object start -r {run_dir}");
        let outcome = as_user(&sandbox, &line);
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (0, ""),
            "{outcome}"
        );
        must(&sandbox, &format!("swift-init object status -r {run_dir}"));
    }
}

/// Fails when what root's command made locks the owner out: the lock was root's alone.
#[test]
fn root_and_the_owner_take_turns() {
    let Some(sandbox) = fixture() else { return };
    // Its own folder is not root's to make: as with the original, nobody else could write into it.
    sandbox.pid_file("object-server/1.pid", "4194304");
    must(
        &sandbox,
        &format!("chown -R {OWNER}:{OWNER} run/object-server"),
    );
    must(&sandbox, "swift-init object start; swift-init object stop");
    let lock = sandbox.run_dir().join(".swift-init.lock");
    let status = fs::metadata(&lock).expect("root's command made it");
    assert_eq!(
        (status.uid(), status.permissions().mode() & 0o777),
        (OWNER, 0o600)
    );
    let outcome = init_as_user(&sandbox, "start");
    assert_eq!(
        (outcome.code(), outcome.err().as_str()),
        (0, ""),
        "{outcome}"
    );
    must(
        &sandbox,
        "swift-init object restart; swift-init object stop",
    );
    let outcome = init_as_user(&sandbox, "start");
    assert_eq!(
        (outcome.code(), outcome.err().as_str()),
        (0, ""),
        "{outcome}"
    );
    assert_tracked(&sandbox, 2, "the owner's");
}

/// Fails when a lock's owner is changed that was not made just now: this one is another name of a file of
/// root's.
#[test]
fn only_new_files_are_given_to_the_owner() {
    let Some(sandbox) = fixture() else { return };
    fs::write(sandbox.path("secret"), "").expect("the sandbox can be written");
    let lock = sandbox.run_dir().join(".swift-init.lock");
    fs::hard_link(sandbox.path("secret"), lock).expect("both are on one file system");
    must(&sandbox, "swift-init object start");
    assert_eq!(
        fs::metadata(sandbox.path("secret"))
            .expect("it is there")
            .uid(),
        0
    );
}

/// Fails when something is said of it twice, or a server is started all the same.
#[test]
fn a_run_directory_of_another_user_is_reported() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "chown 0:0 run");
    let lock = "cannot lock /var/run/swift/.swift-init.lock: Permission denied";
    let line = |name: &str, why: &str| {
        format!("swift-init: object-server (/etc/swift/object-server/{name}.conf): {why}\n")
    };
    let down = |name: &str| {
        let config = format!("/etc/swift/object-server/{name}.conf");
        let file = format!("/var/run/swift/object-server/{name}.pid");
        format!("swift-init: object-server ({config}) is not running: {file}: absent\n")
    };
    let not_started = ["1", "2"]
        .map(|name| {
            line(
                name,
                &format!("failed to start: cannot lock the run directory: {lock}"),
            )
        })
        .concat();
    for (command, code, told) in [
        ("status", 1, ["1", "2"].map(down).concat()),
        ("start", 1, not_started.clone()),
        ("stop", 1, String::new()),
        ("kill", 0, String::new()),
        ("restart", 1, not_started),
    ] {
        let outcome = init_as_user(&sandbox, command);
        assert_eq!(
            (outcome.code(), outcome.err()),
            (code, told),
            "{command}: {outcome}"
        );
        assert_tracked(&sandbox, 0, command);
    }
    sandbox.pid_file("object-server/1.pid", "4194304");
    let told = line(
        "1",
        &format!("pid file /var/run/swift/object-server/1.pid: cannot remove: {lock}"),
    );
    for command in ["stop", "kill"] {
        let outcome = init_as_user(&sandbox, command);
        assert_eq!(
            (outcome.code(), outcome.err()),
            (1, told.clone()),
            "{command}: {outcome}"
        );
    }
}

/// Fails when what may not be read counts as missing: running servers would be taken for none.
#[test]
fn unreadable_files_are_reported() {
    let Some(sandbox) = fixture() else { return };
    must(
        &sandbox,
        "mkdir hidden; cp bin/swift-object-server hidden/; chmod 700 hidden",
    );
    let outcome = as_user(&sandbox, "PATH=$PWD/hidden:$PATH swift-init object start");
    assert_eq!(
        (outcome.code(), outcome.err().as_str()),
        (0, ""),
        "{outcome}"
    );
    assert_tracked(&sandbox, 2, "found further on");
    must(&sandbox, "chmod 700 etc/object-server");
    // What runs is no orphan only because its config cannot be seen: a restart would stop it for good.
    let told = "swift-resolve-servers: cannot read /etc/swift/object-server: Permission denied\n";
    let outcome = init_as_user(&sandbox, "status");
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, told));
    assert_eq!(outcome.out().lines().count(), 2, "{outcome}");
    for command in ["start", "restart", "stop"] {
        let outcome = init_as_user(&sandbox, command);
        assert_eq!(outcome.code(), 1, "{command}: {outcome}");
        assert!(outcome.err().starts_with(told), "{command}: {outcome}");
        assert!(
            outcome.err().contains("no action taken"),
            "{command}: {outcome}"
        );
        assert_tracked(&sandbox, 2, command);
    }
    must(
        &sandbox,
        "chmod 755 etc/object-server; : >etc/swift-init.toml; chmod 600 etc/swift-init.toml",
    );
    let outcome = init_as_user(&sandbox, "start");
    let told = "swift-init: cannot read /etc/swift/swift-init.toml: Permission denied\n";
    assert_eq!(
        (outcome.code(), outcome.err().as_str()),
        (1, told),
        "{outcome}"
    );
    must(&sandbox, "rm etc/swift-init.toml; chmod 711 run");
    must(&sandbox, "chown 0:0 run");
    let outcome = init_as_user(&sandbox, "object.1 status");
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(outcome.err().contains("cannot read pid file"), "{outcome}");
    assert_tracked(&sandbox, 2, "in the end");
}

/// Fails when a directory that may not be entered counts as one that holds nothing, or makes a tool give
/// up: who monitors may enter the run directory only.
#[test]
fn status_works_without_access_to_the_configs() {
    let Some(sandbox) = fixture() else { return };
    sandbox.install(&["proxy-server"]);
    must(&sandbox, "swift-init object start; chmod 750 etc");
    let monitor = |line: &str| as_number(&sandbox, OWNER - 1, line);
    let told = "swift-resolve-servers: cannot read /etc/swift: Permission denied\n";
    let outcome = monitor("swift-resolve-servers -q object");
    assert_eq!((outcome.code(), outcome.err().as_str()), (3, told));
    let rows = outcome.rows();
    let states: Vec<&str> = rows.iter().map(|row| &*row[5]).collect();
    assert_eq!(
        states,
        ["unconfigured", "configured", "configured"],
        "{outcome}"
    );
    let why = "unreadable /etc/swift: Permission denied";
    assert!(rows.iter().all(|row| row[6] == why), "{outcome}");
    let outcome = monitor("swift-resolve-servers -q object | swift-pidfile --running | cut -f 2,6");
    let denied = |name: &str| format!("/etc/swift/object-server/{name}.conf\tdenied\n");
    assert_eq!(outcome.out(), denied("1") + &denied("2"), "{outcome}");
    // Nothing is known of the proxy: neither that it runs nor that it does not.
    let outcome = monitor("swift-init proxy status");
    assert_eq!((outcome.code(), outcome.out().as_str()), (1, ""));
    assert!(outcome.err().starts_with(told), "{outcome}");
    assert_tracked(&sandbox, 2, "in the end");
    // Whoever may enter it, and not list it, is told of the site's file.
    must(
        &sandbox,
        ": >etc/swift-init.toml; chmod 600 etc/swift-init.toml; chmod 711 etc",
    );
    let outcome = monitor("swift-init object status");
    let told = "swift-init: cannot read /etc/swift/swift-init.toml: Permission denied\n";
    assert_eq!((outcome.code(), outcome.err().as_str()), (1, told));
    must(&sandbox, "rm etc/swift-init.toml");
    let outcome = monitor("swift-resolve-servers -q object | cut -f 6,7");
    assert_eq!(
        outcome.rows()[1..],
        [["configured", "-"], ["configured", "-"]],
        "{outcome}"
    );
    must(&sandbox, "rm etc/object-server/2.conf");
    let outcome = monitor("swift-resolve-servers -q object | cut -f 6");
    assert_eq!(
        outcome.rows()[1..],
        [["configured"], ["orphan"]],
        "{outcome}"
    );
}

/// Fails when a run directory that may not be looked at counts as one that holds nothing.
#[test]
fn an_invisible_run_directory_is_not_reported_as_empty() {
    let Some(sandbox) = fixture() else { return };
    sandbox.install(&["proxy-server"]);
    must(&sandbox, "swift-init object start; chmod 700 run");
    let monitor = |line: &str| as_number(&sandbox, OWNER - 1, line);
    let why = "unreadable Permission denied";
    let outcome = monitor("swift-resolve-servers -q object | swift-pidfile -q | cut -f 6,7");
    let unread = "unreadable /var/run/swift: Permission denied";
    let wanted = [["stopped", why], ["stopped", why], ["orphan", unread]];
    assert_eq!(outcome.rows(), wanted, "{outcome}");
    for line in [
        "object status",
        "proxy status",
        "object status -c 1",
        "object proxy status",
    ] {
        let outcome = monitor(&format!("swift-init {line}"));
        assert_eq!(outcome.code(), 1, "{line}: {outcome}");
        assert!(!outcome.out().contains(" running"), "{line}: {outcome}");
        assert!(
            outcome.err().contains("Permission denied"),
            "{line}: {outcome}"
        );
    }
    assert_tracked(&sandbox, 2, "in the end");
}

/// Fails when a process that could not be made takes a server down or leaves one untracked.
#[test]
fn a_process_limit_leaves_nothing_half_done() {
    let Some(sandbox) = fixture() else { return };
    // Processes are counted by user, and other tests have some too.
    let user = 2_000_000_000 - std::process::id();
    must(&sandbox, &format!("chown -R {user} run"));
    let outcome = as_number(&sandbox, user, "swift-init object start");
    assert_eq!(outcome.code(), 0, "{outcome}");
    let (mut failed, mut worked) = (0, 0);
    for most in 1..24 {
        let line = format!("exec prlimit --nproc={most}:{most} swift-init object restart");
        let outcome = as_number(&sandbox, user, &line);
        assert!(matches!(outcome.code(), 0 | 1), "{most}: {outcome}");
        assert_eq!(
            outcome.err().is_empty(),
            outcome.code() == 0,
            "{most}: {outcome}"
        );
        assert!(
            outcome.err().lines().all(|line| line.starts_with("swift-")),
            "{most}: {outcome}"
        );
        match outcome.code() {
            0 => worked += 1,
            _ => failed += 1,
        }
        // Either it was restarted, or it was left alone.
        assert_tracked(&sandbox, 2, &format!("{most} processes"));
    }
    assert!(failed > 0 && worked > 0, "{failed} failed, {worked} worked");
}
