//! Looking at servers: it changes nothing, says what is down and why, and claims nothing that could not be
//! looked at.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use test_helpers::{Outcome, Sandbox, run};

/// A sandbox with object servers of these configs.
fn sandbox(configs: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.install(&["object-server"]);
    for config in configs {
        sandbox.conf(&format!("object-server/{config}.conf"), "");
    }
    sandbox
}

fn swift_init(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    let mut command = sandbox.command("swift-init");
    command.arg("--swift-dir").arg(sandbox.etc());
    command.arg("--run-dir").arg(sandbox.run_dir()).args(args);
    run(&mut command)
}

/// Every file below a directory with its content, but for the lock.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.ends_with(".swift-init.lock") {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// A pid that no process has: that of a child that was waited for.
fn gone() -> String {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id().to_string()
}

/// Fails when the look removes what lies: then the second one says `absent`.
#[test]
fn status_leaves_every_file_and_says_the_same_twice() {
    let sandbox = sandbox(&["1", "2", "3", "4"]);
    sandbox.pid_file("object-server/1.pid", gone());
    sandbox.pid_file("object-server/2.pid", "nonsense");
    sandbox.pid_file("object-server/3.pid", std::process::id().to_string());
    let before = files(&sandbox.run_dir());
    let line = |name: &str, reason: &str| {
        let (etc, run_dir) = (sandbox.etc(), sandbox.run_dir());
        let (config, file) = (
            etc.join(format!("object-server/{name}.conf")),
            run_dir.join(format!("object-server/{name}.pid")),
        );
        let (config, file) = (config.display(), file.display());
        format!("swift-init: object-server ({config}) is not running: {file}: {reason}\n")
    };
    let wanted = line("1", "stale")
        + &line("2", "invalid")
        + &line("3", "wrong-process")
        + &line("4", "absent");
    for _ in 0..2 {
        let outcome = swift_init(&sandbox, &["object", "status"]);
        assert_eq!(outcome.code(), 1);
        assert_eq!(outcome.out(), "No object-server running\n");
        assert_eq!(outcome.err(), wanted);
        assert_eq!(files(&sandbox.run_dir()), before);
    }
}

/// Fails when `--strict` asks for no more than one instance.
#[test]
fn strict_asks_for_every_instance() {
    let sandbox = sandbox(&["1", "2"]);
    swift_init(&sandbox, &["object", "start"]);
    for (args, status) in [
        (&["object", "status"][..], 0),
        (&["--strict", "object", "status"], 0),
    ] {
        let outcome = swift_init(&sandbox, args);
        assert_eq!(
            (outcome.code(), outcome.err()),
            (status, String::new()),
            "{args:?}"
        );
    }
    assert_eq!(swift_init(&sandbox, &["object.2", "stop"]).code(), 0);
    for (args, status) in [
        (&["object", "status"][..], 0),
        (&["--non-strict", "object", "status"], 0),
        (&["--strict", "object", "status"], 1),
        (&["--strict", "object.1", "status"], 0),
        (&["--strict", "object.2", "status"], 1),
        (&["--strict", "object.1", "object.2", "status"], 1),
        (&["--strict", "object.1", "object.9", "status"], 1),
    ] {
        let outcome = swift_init(&sandbox, args);
        assert_eq!(outcome.code(), status, "{args:?}: {outcome}");
        let named = args.iter().any(|arg| matches!(*arg, "object" | "object.2"));
        let told = outcome.err().contains("2.conf) is not running");
        assert_eq!(told, named, "{args:?}: {outcome}");
    }
}

/// Fails when an error of looking counts as a server that is down.
#[test]
fn nobody_is_told_that_nothing_runs_where_nothing_can_be_seen() {
    for hide_one in [true, false] {
        let sandbox = sandbox(&["1"]);
        let hidden = if hide_one {
            let file = sandbox.run_dir().join("object-server/1.pid");
            fs::create_dir_all(&file).unwrap();
            file
        } else {
            // Not a directory: nothing below it can be looked at, by root neither.
            fs::remove_dir(sandbox.run_dir()).unwrap();
            fs::write(sandbox.run_dir(), "").unwrap();
            sandbox.run_dir()
        };
        for command in [
            "status",
            "stop",
            "shutdown",
            "kill",
            "restart",
            "reload",
            "reload-seamless",
        ] {
            let outcome = swift_init(&sandbox, &["object", command]);
            assert_eq!(outcome.code(), 1, "{command}: {outcome}");
            assert!(
                !outcome.out().contains("No object-server"),
                "{command}: {outcome}"
            );
            let path = hidden.display().to_string();
            assert!(outcome.err().contains(&path), "{command}: {outcome}");
        }
    }
}

/// Fails when a server with another config counts as stopped: it is doubled then, or loses its pid file.
/// 0.1.0 removed the pid files of both, and started two more.
#[test]
fn a_server_with_another_config_is_left_alone_by_every_command() {
    let sandbox = sandbox(&["1", "2"]);
    assert_eq!(swift_init(&sandbox, &["object", "start"]).code(), 0);
    let before = files(&sandbox.run_dir());
    let copy = sandbox.path("copy");
    fs::create_dir_all(copy.join("object-server")).unwrap();
    for name in ["1", "2"] {
        fs::write(copy.join(format!("object-server/{name}.conf")), "").unwrap();
    }
    for swift_dir in [copy, sandbox.path("misspelt")] {
        for command in [
            "status",
            "start",
            "no-wait",
            "once",
            "restart",
            "reload",
            "reload-seamless",
            "stop",
            "shutdown",
            "kill",
        ] {
            let what = format!("{command}, {}", swift_dir.display());
            let mut init = sandbox.command("swift-init");
            init.arg("--swift-dir").arg(&swift_dir);
            init.arg("--run-dir").arg(sandbox.run_dir());
            let outcome = run(init.args(["object", command]));
            assert_eq!(outcome.code(), 1, "{what}: {outcome}");
            for (path, pid) in &before {
                let name = path.file_stem().unwrap().to_str().unwrap();
                let config = |directory: &Path| {
                    directory
                        .join(format!("object-server/{name}.conf"))
                        .display()
                        .to_string()
                };
                let pid = String::from_utf8_lossy(pid);
                let told = format!("pid {pid} runs with {}", config(&sandbox.etc()));
                let line = |line: &&str| line.contains(&config(&swift_dir)) && line.contains(&told);
                let count = outcome.err().lines().filter(line).count();
                assert_eq!(count, 1, "{what}: {outcome}");
            }
            assert!(!outcome.out().contains("running ("), "{what}: {outcome}");
            assert!(!outcome.out().contains("Starting"), "{what}: {outcome}");
            assert!(!outcome.out().contains("Signal"), "{what}: {outcome}");
            assert_eq!(files(&sandbox.run_dir()), before, "{what}");
        }
    }
    let outcome = swift_init(&sandbox, &["--strict", "object", "status"]);
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
}

/// Fails when one of them keeps the others from being started.
#[test]
fn others_are_started_beside_a_server_with_another_config() {
    let sandbox = sandbox(&["1", "2", "3"]);
    let copy = sandbox.path("copy/object-server/1.conf");
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::write(&copy, "").unwrap();
    let mut other = sandbox.command("swift-init");
    other.arg("--swift-dir").arg(sandbox.path("copy"));
    other.arg("--run-dir").arg(sandbox.run_dir());
    assert_eq!(run(other.args(["object", "start"])).code(), 0);
    let outcome = swift_init(&sandbox, &["object", "start"]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert_eq!(outcome.out().matches("Starting").count(), 2, "{outcome}");
    assert!(outcome.err().contains("1.conf): left alone: "), "{outcome}");
    let started = swift_init(&sandbox, &["object.3", "status"]);
    assert_eq!(started.code(), 0, "{started}");
}

/// Fails when standard output that was closed counts as one that was written.
#[test]
fn a_closed_output_is_told_when_all_is_done() {
    let sandbox = sandbox(&["1", "2"]);
    let (etc, run_dir) = (sandbox.etc(), sandbox.run_dir());
    let line = |words: &str, output: &str| {
        let mut shell = sandbox.command("sh");
        let (etc, run_dir) = (etc.display(), run_dir.display());
        let line = format!("swift-init --swift-dir={etc} --run-dir={run_dir} {words} {output}");
        run(shell.args(["-c", &line]))
    };
    for (output, why) in [
        (">&-", "Bad file descriptor"),
        (">/dev/full", "No space left on device"),
    ] {
        let error = format!("swift-init: cannot write standard output: {why}\n");
        let up = format!("swift-init: 2 servers run all the same\n{error}");
        for (words, wanted) in [
            ("object start", &up),
            ("object status", &error),
            ("object restart", &up),
            ("object stop", &error),
            ("--help", &error),
            ("--version", &error),
        ] {
            let outcome = line(words, output);
            assert_eq!(
                (outcome.code(), &outcome.err()),
                (1, wanted),
                "{words} {output}"
            );
        }
    }
    // A reader that is gone has said all there is to say.
    let outcome = line(
        "object start",
        "| :; swift-init object status >/dev/null 2>&1",
    );
    assert_eq!(outcome.err(), "");
    assert_eq!(
        swift_init(&sandbox, &["--strict", "object", "status"]).code(),
        0
    );
}
