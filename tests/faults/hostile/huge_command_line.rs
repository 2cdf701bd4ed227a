//! What a process can make /proc show of itself.

use test_helpers::{Outcome, Sandbox};

use crate::assertions::{must, sh, with_servers};

/// More memory than any tool needs for one row, and less than an endless command line takes.
const MEMORY: u64 = 1 << 30;

/// Starts a process whose command line begins with these words and has 16 GiB, as its environment has,
/// and gives its pid file to object server 1. Gives its pid.
fn endless(sandbox: &Sandbox, words: &str) -> String {
    std::fs::write(sandbox.path("endless.py"), include_str!("endless.py"))
        .expect("the sandbox can be written");
    let line = format!(
        "rm -f up; mkfifo up; mkdir -p run/object-server
         setsid python3 endless.py up {words} >/dev/null &
         read pid <up; printf $pid | tee run/object-server/1.pid"
    );
    must(sandbox, &line)
}

/// A line of shell with so much memory and no more.
fn bounded(sandbox: &Sandbox, line: &str) -> Outcome {
    sh(sandbox, &format!("prlimit --as={MEMORY} {line}"))
}

/// Fails when a command line is read to its end: the tool takes all memory that there is, and aborts.
#[test]
fn a_command_line_without_end_takes_no_memory() {
    const ROW: &str =
        "object-server\\t/etc/swift/object-server/1.conf\\t/run/swift/object-server/1.pid\\t";
    let sandbox = with_servers(&["1"]);
    for (words, running) in [
        ("swift-object-server /etc/swift/object-server/1.conf", true),
        ("something-else", false),
    ] {
        let pid = endless(&sandbox, words);
        let row = |state| format!("printf '{ROW}{pid}\\t-\\t{state}\\t-\\n' |");
        let look = row("configured");
        let outcome = sh(
            &sandbox,
            &format!("{look} prlimit --as={MEMORY} swift-pidfile"),
        );
        let state = if running { "running" } else { "stopped" };
        assert_eq!(outcome.rows()[0][5], state, "{words}: {outcome}");
        let outcome = bounded(&sandbox, "swift-init object status");
        assert_eq!(outcome.code(), i32::from(!running), "{words}: {outcome}");
        // What is known only in part is not executed.
        let outcome = bounded(&sandbox, &format!("swift-reload {pid}"));
        let told = match running {
            true => {
                "its config could not be checked: its command line is longer than 131072 bytes\n"
            }
            false => "Non-swift process: ",
        };
        assert!(
            outcome.code() != 0 && outcome.err().contains(told),
            "{outcome}"
        );
        let outcome = bounded(&sandbox, "swift-init object stop");
        assert_eq!(outcome.code(), i32::from(!running), "{words}: {outcome}");
        must(&sandbox, &format!("kill -9 {pid} || :"));
    }
}
