//! What lies in the place of a pid file, of its folder, of the run directory or of swift-init.toml.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::stat::Mode;
use test_helpers::{Sandbox, run, run_with};

use crate::assertions::{
    assert_tracked, listing, must, sh, swift_init, unable, with_servers, without_limits,
};

/// Every command of swift-init that looks at a pid file.
const COMMANDS: [&str; 8] = [
    "status",
    "start",
    "status",
    "restart",
    "reload",
    "reload-seamless",
    "kill",
    "stop",
];

/// Where openat2(2) is there, and where it is refused: a filter's ENOSYS, and an older one's EPERM.
const REFUSED: [Option<i32>; 3] = [None, Some(libc::ENOSYS), Some(libc::EPERM)];

/// Puts something into the place of a pid file, given what lies outside of the run directory.
type Put = fn(pid_file: &Path, outside: &Path);

fn link(pid_file: &Path, outside: &Path) {
    symlink(outside.join("1.pid"), pid_file).expect("a link can be made");
}

fn fifo(pid_file: &Path, _: &Path) {
    nix::unistd::mkfifo(pid_file, Mode::S_IRWXU).expect("a fifo can be made");
}

fn socket(pid_file: &Path, _: &Path) {
    drop(UnixListener::bind(pid_file).expect("a socket can be made"));
}

fn directory(pid_file: &Path, _: &Path) {
    fs::create_dir_all(pid_file.join("kept")).expect("a directory can be made");
}

/// 1 GiB that takes no room on the disk.
fn giant(pid_file: &Path, _: &Path) {
    let file = fs::File::create(pid_file).expect("a file can be made");
    file.set_len(1 << 30).expect("it can be sparse");
}

/// Object servers 1 and 2, and a directory outside of the run directory with pid files that lie.
fn fixture() -> (Sandbox, PathBuf) {
    stage_with(None)
}

/// The same, where openat2(2) is refused with this error.
fn stage_with(refused: Option<i32>) -> (Sandbox, PathBuf) {
    let mut sandbox = with_servers(&["1", "2"]);
    if let Some(error) = refused {
        sandbox.refuse(libc::SYS_openat2, error);
    }
    let outside = sandbox.path("outside");
    fs::create_dir(&outside).expect("the sandbox can be written");
    for name in ["1.pid", "2.pid"] {
        fs::write(outside.join(name), "4194304").expect("the sandbox can be written");
    }
    fs::create_dir(sandbox.run_dir().join("object-server")).expect("it is ours");
    (sandbox, outside)
}

/// The line that says of an instance why its pid file is none.
fn complaint(name: &str, why: &str) -> String {
    format!(
        "swift-init: object-server (/etc/swift/object-server/{name}.conf): cannot read pid file \
         /var/run/swift/object-server/{name}.pid: {why}\n"
    )
}

/// Fails when `pidfile::read` follows links, waits for a fifo, or takes what is long for a pid file. The
/// original follows the link, removes what is none of its business, and starts a second server.
#[test]
fn a_file_that_is_no_pid_file_affects_its_server_only() {
    let kinds: [(&str, Put); 5] = [
        ("a symbolic link", link),
        ("a fifo", fifo),
        ("a socket or a device", socket),
        ("a directory", directory),
        ("longer than 64 bytes", giant),
    ];
    let walked = kinds[..2].iter().map(|kind| (REFUSED[1], *kind));
    for (refused, (why, put)) in kinds.map(|kind| (None, kind)).into_iter().chain(walked) {
        let (sandbox, outside) = stage_with(refused);
        let pid_file = sandbox.run_dir().join("object-server/1.pid");
        put(&pid_file, &outside);
        let before = [listing(&pid_file), listing(&outside)];
        let mut up = false;
        for command in COMMANDS {
            let outcome = run(&mut swift_init(&sandbox, &format!("object {command}")));
            let mut wanted = complaint("1", why);
            if command == "status" && !up {
                wanted += "swift-init: object-server (/etc/swift/object-server/2.conf) is not running: \
                           /var/run/swift/object-server/2.pid: absent\n";
            }
            assert_eq!(outcome.err(), wanted, "{command}: {outcome}");
            assert_eq!(outcome.code(), 1, "{command}: {outcome}");
            let none = outcome.out().contains("No object-server running");
            assert!(!none, "{command}: {outcome}");
            up = match command {
                "start" | "restart" | "reload" => true,
                "kill" | "stop" => false,
                _ => up,
            };
            // The other one is handled as ever.
            assert_tracked(&sandbox, usize::from(up), &format!("{why}: {command}"));
            assert_eq!([listing(&pid_file), listing(&outside)], before, "{command}");
        }
    }
}

/// Fails when a folder's link is followed. The original removes both files there.
#[test]
fn a_directory_that_is_a_link_is_not_entered() {
    REFUSED
        .iter()
        .for_each(|refused| is_not_entered(stage_with(*refused)));
}

fn is_not_entered((sandbox, outside): (Sandbox, PathBuf)) {
    let folder = sandbox.run_dir().join("object-server");
    fs::remove_dir(&folder).expect("it is empty");
    symlink(&outside, &folder).expect("a link can be made");
    let before = [listing(&folder), listing(&outside)];
    let both = ["1", "2"]
        .map(|name| complaint(name, "a symbolic link"))
        .concat();
    for command in COMMANDS {
        let outcome = run(&mut swift_init(&sandbox, &format!("object {command}")));
        assert_eq!(
            (outcome.code(), outcome.err()),
            (1, both.clone()),
            "{command}"
        );
        assert_eq!([listing(&folder), listing(&outside)], before, "{command}");
        assert_tracked(&sandbox, 0, command);
    }
}

/// Fails when the tools act on rows whose pid file is none. Each row passes to the end of the pipeline,
/// with its reason.
#[test]
fn the_tools_leave_a_file_that_is_no_pid_file_alone() {
    REFUSED
        .iter()
        .for_each(|refused| is_left_alone(stage_with(*refused)));
}

/// A pid that no process of the namespace has.
const GONE: &str = "4194303";

/// Tools; the pid and state of their row; the state and reason that they write; and their message, unless
/// it is `-`.
const CASES_BEHIND_A_LINK: [(&str, &str, &str, &str, &str, &str); 5] = [
    (
        "swift-pidfile --clean",
        "-",
        "configured",
        "stopped",
        "unreadable",
        "cannot read /run/swift/object-server/1.pid (object-server)",
    ),
    (
        "swift-pidfile",
        "-",
        "orphan",
        "orphan",
        "unreadable",
        "cannot read /run/swift/object-server/1.pid (object-server)",
    ),
    (
        "swift-spawn --keep-limits",
        "-",
        "stopped",
        "failed",
        "unreadable",
        "cannot start object-server (/etc/swift/object-server/1.conf): \
         cannot read /run/swift/object-server/1.pid",
    ),
    ("swift-signal stop", GONE, "running", "stopped", "stale", ""),
    (
        "swift-reload",
        GONE,
        "running",
        "unreloaded",
        "vanished",
        "-",
    ),
];

fn is_left_alone((sandbox, outside): (Sandbox, PathBuf)) {
    link(&sandbox.run_dir().join("object-server/1.pid"), &outside);
    let before = listing(&outside);
    for (line, pid, given, state, detail, said) in CASES_BEHIND_A_LINK {
        let row = format!(
            "object-server\t/etc/swift/object-server/1.conf\t/run/swift/object-server/1.pid\t{pid}\
             \t-\t{given}\t-\n"
        );
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = sandbox.command(words[0]);
        let outcome = run_with(
            command.args(&words[1..]),
            row.as_bytes(),
            test_helpers::LIMIT,
        );
        let rows = outcome.rows();
        assert_eq!(rows.len(), 1, "{line}: {outcome}");
        assert_eq!(rows[0][5], state, "{line}: {outcome}");
        assert!(rows[0][6].starts_with(detail), "{line}: {outcome}");
        if said != "-" {
            let told = match said {
                "" => String::new(),
                said => format!("{}: {said}: a symbolic link\n", words[0]),
            };
            assert_eq!(outcome.err(), told, "{line}: {outcome}");
            assert_eq!(outcome.code(), i32::from(!said.is_empty()), "{line}");
        }
        assert_eq!(listing(&outside), before, "{line}");
        assert_tracked(&sandbox, 0, line);
    }
}

/// Fails when nothing is said of it, or when it is said more than once.
#[test]
fn a_world_writable_pid_file_is_reported_and_proven() {
    let (sandbox, _) = fixture();
    let pid_file = sandbox.pid_file("object-server/1.pid", "4194304");
    fs::set_permissions(&pid_file, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let outcome = run(&mut swift_init(&sandbox, "object start"));
    let told = "swift-pidfile: /var/run/swift/object-server/1.pid (object-server): writable by \
                everybody\n";
    assert_eq!(
        (outcome.code(), outcome.err().as_str()),
        (0, told),
        "{outcome}"
    );
    assert_tracked(&sandbox, 2, "after the start");
}

/// Fails when the run directory is opened as a file would be: a fifo is waited for then, for ever.
#[test]
fn an_invalid_run_directory_is_reported_at_once() {
    let (sandbox, _) = fixture();
    must(&sandbox, "mkfifo fifo; : >file; ln -s fifo link");
    for place in ["fifo", "file", "link"] {
        let path = sandbox.path(place);
        let why = format!("cannot read {}: not a directory\n", path.display());
        let before = listing(&sandbox.path(""));
        for command in COMMANDS {
            let words = format!("object.1 {command} -r {}", path.display());
            let outcome = run(&mut swift_init(&sandbox, &words));
            let err = outcome.err();
            let (first, rest) = err.split_once('\n').expect("two lines");
            assert_eq!(
                format!("{first}\n"),
                format!("swift-resolve-servers: {why}")
            );
            let of_pid_file = format!(
                "swift-init: object-server (/etc/swift/object-server/1.conf): cannot read pid file \
                 {}/object-server/1.pid: not a directory\n",
                path.display()
            );
            assert_eq!(
                (outcome.code(), rest),
                (1, of_pid_file.as_str()),
                "{command}"
            );
        }
        // The book of servers and the directory that holds it were not touched either.
        assert_eq!(listing(&sandbox.path("")), before, "{place}");
        assert_tracked(&sandbox, 0, place);
    }
}

/// Fails when the file is read however long it is, or a fifo waited for.
#[test]
fn an_invalid_site_file_stops_every_tool() {
    let (sandbox, _) = fixture();
    let path = sandbox.etc().join("swift-init.toml");
    let tools = [
        "swift-init object start",
        "swift-init object status",
        "swift-init object stop",
        "swift-resolve-servers object",
        "swift-pidfile --clean",
        "swift-check-config",
        "swift-signal stop",
        "swift-reload",
        "swift-reload 1",
        "swift-spawn",
    ];
    let kinds: [(&str, Put); 4] = [
        ("a fifo", fifo),
        ("Is a directory", directory),
        ("longer than 1048576 bytes", giant),
        ("No such device or address", socket),
    ];
    for (why, put) in kinds {
        put(&path, &path);
        for line in tools {
            let outcome = sh(&sandbox, &format!("{line} </dev/null"));
            let tool = line.split(' ').next().unwrap_or_default();
            let told = format!("{tool}: cannot read /etc/swift/swift-init.toml: {why}\n");
            let wanted = (unable(tool), told);
            assert_eq!((outcome.code(), outcome.err()), wanted, "{line}");
        }
        assert_tracked(&sandbox, 0, why);
        must(&sandbox, "rm -r etc/swift-init.toml");
    }
}

/// Fails when such a config is waited for, or read to its end, while the expirer's section is looked for.
#[test]
fn an_invalid_config_does_not_delay_the_others() {
    let (sandbox, _) = fixture();
    sandbox.install(&["object-expirer"]);
    let path = sandbox.etc().join("object-server.conf");
    for (why, put) in [
        ("a fifo", fifo as Put),
        ("longer than 1048576 bytes", giant),
    ] {
        put(&path, &path);
        let outcome = run(&mut swift_init(&sandbox, "object-expirer status"));
        let told = format!(
            "swift-resolve-servers: cannot read /etc/swift/object-server.conf: {why}\n\
             swift-init: cannot find a config (object-expirer): no object-server*.conf with \
             [object-expirer], no object-expirer*.conf beneath /etc/swift\n"
        );
        assert_eq!((outcome.code(), outcome.err()), (1, told), "{outcome}");
        let outcome = run(&mut swift_init(&sandbox, "object.1 object.2 start"));
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (0, ""),
            "{outcome}"
        );
        assert_tracked(&sandbox, 2, why);
        let out = without_limits(&run(&mut swift_init(&sandbox, "object.1 object.2 stop")).out());
        assert_eq!(out.lines().count(), 4, "{out}");
        fs::remove_file(&path).expect("it is ours");
    }
}
