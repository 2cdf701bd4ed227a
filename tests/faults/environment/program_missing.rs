//! Programs that are there and cannot be executed.

use std::fs;

use test_helpers::{Sandbox, run};

use crate::assertions::{assert_tracked, must, sh, swift_init, with_servers, without_limits};

/// An object server that is as it should be, and a proxy server whose program is made by this line.
fn fixture(program: &str) -> Sandbox {
    let sandbox = with_servers(&["1"]);
    sandbox.conf("proxy-server.conf", "");
    must(
        &sandbox,
        &format!("{program} && chmod +x bin/swift-proxy-server"),
    );
    sandbox
}

/// Fails when the pid file stays, or when the other server is not started. The original ends in a
/// traceback.
#[test]
fn an_unusable_interpreter_is_reported() {
    let noexec = "mkdir no && mount -t tmpfs -o noexec tmpfs no && cp /bin/true no/true";
    for (before, interpreter) in [
        (":", "/etc"),
        (noexec, "$PWD/no/true"),
        (":", "/etc/passwd"),
    ] {
        let line = format!("{before} && echo \"#!{interpreter}\" >bin/swift-proxy-server");
        let sandbox = fixture(&line);
        let outcome = run(&mut swift_init(&sandbox, "proxy object start"));
        let program = sandbox.path("bin/swift-proxy-server");
        let interpreter = interpreter.replace("$PWD", &sandbox.path("").display().to_string());
        let why = format!(
            "the interpreter {} of {} is not executable",
            interpreter.replace("//", "/"),
            program.display()
        );
        let told = format!(
            "swift-init: proxy-server (/etc/swift/proxy-server.conf): failed to start: cannot be \
             executed: {why}\n"
        );
        assert_eq!((outcome.code(), outcome.err()), (1, told), "{outcome}");
        assert_tracked(&sandbox, 1, &interpreter);
        assert!(!sandbox.run_dir().join("proxy-server.pid").exists());
        let outcome = run(&mut swift_init(&sandbox, "proxy object restart"));
        let told = "swift-init: proxy-server (/etc/swift/proxy-server.conf): its config is refused, so \
                    it was not started: cannot be executed: Permission denied\n";
        assert_eq!(
            (outcome.code(), outcome.err().as_str()),
            (1, told),
            "{outcome}"
        );
        assert_tracked(&sandbox, 1, &interpreter);
        let row = "proxy-server\t/etc/swift/proxy-server.conf\t/run/swift/proxy-server.pid\t-\t-\t\
                   stopped\t-\n";
        fs::write(sandbox.path("row"), row).expect("the sandbox can be written");
        let outcome = sh(&sandbox, "swift-spawn --keep-limits <row");
        let told = format!(
            "swift-spawn: cannot start proxy-server (/etc/swift/proxy-server.conf): {why}\n"
        );
        assert_eq!((outcome.code(), outcome.err()), (1, told));
        let detail = format!("exec-failed {why}");
        assert_eq!(outcome.rows()[0][5..], ["failed", &detail]);
    }
}

/// Fails when such a program counts as installed: it is looked for further on, and found there.
#[test]
fn a_program_where_nothing_is_executed_is_not_installed() {
    let sandbox = fixture("echo no >bin/swift-proxy-server");
    must(&sandbox, "mkdir no && mount -t tmpfs -o noexec tmpfs no");
    must(
        &sandbox,
        "cp bin/swift-object-server no/swift-object-server",
    );
    let outcome = sh(&sandbox, "PATH=$PWD/no:$PATH swift-init object start");
    assert_eq!(
        (outcome.code(), outcome.err().as_str()),
        (0, ""),
        "{outcome}"
    );
    assert_tracked(&sandbox, 1, "found further on");
    must(
        &sandbox,
        "rm bin/swift-proxy-server; cp bin/swift-object-server no/swift-proxy-server",
    );
    let told = "swift-resolve-servers: proxy-server is not installed: swift-proxy-server is not on \
                PATH\n";
    let outcome = sh(&sandbox, "PATH=$PWD/no:$PATH swift-init proxy start");
    assert_eq!(
        (
            outcome.code(),
            without_limits(&outcome.out()),
            outcome.err().as_str()
        ),
        (1, String::new(), told)
    );
    let outcome = sh(&sandbox, "PATH=$PWD/no:$PATH swift-resolve-servers proxy");
    assert_eq!((outcome.code(), outcome.err().as_str()), (1, told));
}
