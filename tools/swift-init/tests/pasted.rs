//! What is shown to be pasted into a shell does there what it says: the pipelines of `--explain`, and
//! the example in each tool's `--help`.

use std::collections::BTreeMap;
use std::fs;

use test_helpers::{Outcome, Sandbox, run};

const SERVERS: [&str; 3] = ["object-server", "object-replicator", "proxy-server"];

/// Three instances of main servers and two of a daemon, with directories that a shell has to be told
/// of with care.
fn site() -> Sandbox {
    let sandbox = Sandbox::in_namespace();
    sandbox.install(&SERVERS);
    for name in ["object-server/1.conf", "object-server/2.conf"] {
        sandbox.conf(name, "");
    }
    sandbox.conf("proxy-server.conf", "");
    fs::create_dir(sandbox.path("it's $HOME")).unwrap();
    sandbox
}

fn shell(sandbox: &Sandbox, line: &str) -> Outcome {
    run(sandbox.command("sh").args(["-c", line]))
}

/// What was complained of, apart from limits that this user may not raise.
fn complaints(outcome: &Outcome) -> String {
    let told = outcome.err();
    let lines = told
        .lines()
        .filter(|line| !line.contains(": cannot raise the "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The pids of what runs, by server and config.
fn running(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let rows = shell(
        sandbox,
        "swift-resolve-servers all | swift-pidfile --running",
    )
    .rows();
    rows.into_iter()
        .map(|row| (format!("{} {}", row[0], row[1]), row[3].clone()))
        .collect()
}

/// Which instances run after a command that was given in a shell, and which of them run anew. Before
/// it, `first` is done.
fn effect(first: &str, command: impl Fn(&Sandbox) -> String) -> Vec<(String, bool)> {
    let sandbox = site();
    assert_eq!(complaints(&shell(&sandbox, first)), "", "{first}");
    let before = running(&sandbox);
    let line = command(&sandbox);
    let done = shell(&sandbox, &line);
    assert_eq!(complaints(&done), "", "{line}");
    running(&sandbox)
        .into_iter()
        .map(|(instance, pid)| {
            let anew = before.get(&instance) != Some(&pid);
            (instance, anew)
        })
        .collect()
}

#[test]
fn the_pipelines_of_every_command_do_what_the_command_does() {
    let up = "swift-init all start >/dev/null";
    for (first, args) in [
        ("true", "all start"),
        ("true", "object.2 start -w"),
        ("true", "-c 2 object START"),
        ("true", "main no-wait --start-timeout 60"),
        (up, "'object-*' stop"),
        (
            up,
            "object.1 'object-rep*' restart -k 30 --kill-after-timeout",
        ),
        (up, "main reload --check-timeout=60"),
        (up, "object force_reload --no-check"),
        (up, "rest shutdown"),
        (up, "-g proxy stop"),
        (up, "proxy object kill"),
        (up, "all status"),
        (up, "rest proxy reload-seamless --reload-timeout 60"),
        (up, "--no-wait proxy reload-seamless"),
        ("true", "object-replicator once"),
    ] {
        let direct = effect(first, |_| format!("swift-init {args} >/dev/null; true"));
        let pasted = |sandbox: &Sandbox| {
            let told = shell(sandbox, &format!("swift-init --explain {args}"));
            assert_eq!((told.code(), told.err().as_str()), (0, ""), "{args}");
            told.out()
        };
        assert_eq!(effect(first, pasted), direct, "{args}");
    }
}

#[test]
fn words_are_quoted_as_a_shell_reads_them() {
    let sandbox = site();
    let dir = sandbox.path("it's $HOME");
    for name in ["object-server.conf", "proxy-server.conf"] {
        fs::write(dir.join(name), "").unwrap();
    }
    let explain = |command: &str| {
        let mut told = sandbox.command("swift-init");
        told.args(["--explain", "--swift-dir"]).arg(&dir);
        told.arg("--run-dir").arg(dir.join("run; echo *"));
        told.args(["object", "proxy-*", command]);
        run(&mut told).out()
    };
    assert_eq!(shell(&sandbox, &explain("start")).code(), 0);
    assert!(dir.join("run; echo */object-server.pid").exists());
    let status = shell(&sandbox, &explain("status"));
    let states: Vec<String> = status
        .rows()
        .into_iter()
        .map(|row| row[5].clone())
        .collect();
    assert_eq!(states, ["running", "running"]);
    assert_eq!(shell(&sandbox, &explain("stop")).code(), 0);
    assert!(!dir.join("run; echo */object-server.pid").exists());
}

#[test]
fn a_pasted_foreground_ends_with_its_servers() {
    let sandbox = site();
    sandbox.conf("proxy-server.conf", "exit = 0");
    let told = shell(&sandbox, "swift-init --explain proxy no-daemon");
    let done = shell(&sandbox, &told.out());
    let last = done.rows().pop().expect("a row");
    assert_eq!(
        (last[0].as_str(), last[5].as_str()),
        ("proxy-server", "finished")
    );
}

#[test]
fn the_examples_of_help_work() {
    let sandbox = site();
    for (tool, lines) in [
        ("spawn", 3),
        ("pidfile", 5),
        ("resolve-servers", 1),
        ("check-config", 0),
        ("reload", 3),
        ("signal", 2),
    ] {
        if tool == "pidfile" {
            assert_eq!(shell(&sandbox, "swift-init rest start").err(), "");
        }
        let help = shell(&sandbox, &format!("swift-{tool} --help")).out();
        let example = help.split_once("Example:\n").expect(tool).1;
        let example = example.lines().next().expect("a line");
        let done = shell(&sandbox, example);
        assert_eq!(
            (done.code(), complaints(&done).as_str()),
            (0, ""),
            "{example}"
        );
        assert!(done.rows().len() >= lines, "{example}: {done}");
    }
}
