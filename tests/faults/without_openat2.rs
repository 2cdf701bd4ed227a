//! System calls that are refused: by seccomp filters of units and of containers, and by older kernels.

use nix::libc;
use test_helpers::{Sandbox, run};

use crate::assertions::{assert_tracked, servers, sh, swift_init, with_servers};

/// The calls that every command of swift-init makes, in an order in which each has something to do: what
/// runs after it.
const COMMANDS: [(&str, usize); 7] = [
    ("start", 2),
    ("status", 2),
    ("restart", 2),
    ("reload", 2),
    ("reload-seamless", 2),
    ("stop", 0),
    ("no-wait", 2),
];

/// Object servers 1 and 2 where openat2(2) gives this error.
fn without_openat2(error: i32) -> Sandbox {
    let mut sandbox = with_servers(&["1", "deep/2"]);
    sandbox.refuse(libc::SYS_openat2, error);
    let asks = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); \
                libc.syscall(437, -100, b'.', None, 0); print(ctypes.get_errno())";
    let outcome = run(sandbox.command("python3").args(["-c", asks]));
    assert_eq!(outcome.out(), format!("{error}\n"), "{outcome}");
    sandbox
}

/// Fails when a tool gives up without openat2(2): then nothing can be started, and status says that
/// nothing runs.
#[test]
fn without_openat2_everything_works() {
    for error in [libc::ENOSYS, libc::EPERM] {
        let sandbox = without_openat2(error);
        for (command, up) in COMMANDS {
            let outcome = run(&mut swift_init(&sandbox, &format!("object {command}")));
            assert_eq!(
                (outcome.code(), outcome.err().as_str()),
                (0, ""),
                "{command}: {outcome}"
            );
            if command != "no-wait" {
                assert_tracked(&sandbox, up, command);
            }
        }
        let pipeline = "swift-resolve-servers object | swift-pidfile --clean | swift-check-config | \
                        swift-signal --wait=60 stop | swift-spawn --keep-limits | cut -f 6";
        let outcome = sh(&sandbox, pipeline);
        assert_eq!(outcome.err(), "");
        assert_eq!(outcome.out().matches("ready").count(), 2, "{outcome}");
        let outcome = sh(&sandbox, "swift-reload $(cat run/object-server/1.pid)");
        assert_eq!(outcome.out(), "Reloaded swift-object-server\n", "{outcome}");
        // What lies is found and removed, and an orphan is seen.
        sandbox.pid_file("object-server/3.pid", "4194303");
        let outcome = sh(
            &sandbox,
            "rm etc/object-server/1.conf; swift-init object kill",
        );
        assert_eq!(outcome.code(), 0, "{outcome}");
        assert_eq!(servers(&sandbox).len(), 0, "{outcome}");
        assert!(!sandbox.run_dir().join("object-server/3.pid").exists());
    }
}
