//! The tests' own way of bringing systemd up: it is the systemd that was asked for, it leaves nothing
//! behind however it ends, and it depends on nothing that its caller does.

use std::fs;
use std::process::{Child, Command};

use test_helpers::lab::Process;
use test_helpers::systemd::{Machine, bring_up, script};
use test_helpers::{LIMIT, run};

use crate::hello::{self, UNIT};

#[test]
fn systemd_is_up_and_a_shipped_unit_serves() {
    let Some(machine) = Machine::boot() else {
        return;
    };
    assert_eq!(machine.sh("systemctl is-system-running").out(), "running\n");
    assert_eq!(machine.sh("journalctl -q -b -p warning").out(), "");
    assert_eq!(machine.property("init.scope", "ActiveState"), "active");
    hello::install(&machine, &[]);
    machine.must(&format!("systemctl start {UNIT}"));
    assert_eq!(hello::told(&machine, "text"), "hello");
    machine.follow(UNIT).expect("Started ");
    machine.must(&format!("systemctl stop {UNIT}"));
    machine.until_property(UNIT, "SubState", "dead");
}

#[test]
fn nothing_is_left_when_its_input_has_ended() {
    if let Some(mut up) = Up::new(&mut Command::new(script())) {
        drop(up.caller.stdin.take());
        up.caller.wait().expect("it ends with its input");
        up.assert_gone();
    }
}

/// Fails when the script does not notice that its caller is gone.
#[test]
fn nothing_is_left_when_its_caller_is_killed() {
    let calls = "import subprocess, sys
child = subprocess.Popen(sys.argv[1], stdin=subprocess.PIPE)
sys.exit(child.wait())";
    let mut command = Command::new("python3");
    if let Some(mut up) = Up::new(command.args(["-c", calls]).arg(script())) {
        up.caller.kill().expect("it is our child");
        up.caller.wait().expect("it was killed");
        up.assert_gone();
    }
}

/// Fails when the script alone removes the cgroup.
#[test]
fn nothing_is_left_when_the_script_is_killed() {
    if let Some(mut up) = Up::new(&mut Command::new(script())) {
        up.caller.kill().expect("it is our child");
        up.caller.wait().expect("it was killed");
        up.assert_gone();
    }
}

/// As cron, nohup or a job in the background of a script leave it.
#[test]
fn it_does_not_matter_what_the_caller_ignores_and_blocks() {
    let ignores = "import os, signal, sys
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
os.umask(0o077)
os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new("python3");
    command.args(["-c", ignores]).arg(script());
    command.args([
        "sh",
        "-c",
        "umask; grep -E 'Sig(Blk|Ign)' /proc/self/status; systemctl is-system-running",
    ]);
    let outcome = run(&mut command);
    if outcome.code() == 3 {
        return;
    }
    let out = outcome.out();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines[0], lines[3]), ("0022", "running"), "{outcome}");
    for line in &lines[1..3] {
        let (_, mask) = line.split_once(":\t").expect("a name and a value");
        let mask = u64::from_str_radix(mask, 16).expect("hexadecimal");
        // 32 and 33 belong to C's library, whose own functions cannot change them.
        assert_eq!(mask & !(3 << 31), 0, "{outcome}");
    }
}

#[test]
fn the_exit_status_is_that_of_the_command() {
    let outcome = run(Command::new(script()).args(["sh", "-c", "exit 7"]));
    assert!([3, 7].contains(&outcome.code()), "{outcome}");
}

#[test]
fn a_root_without_systemd_is_named_in_one_line() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    let outcome = run(Command::new(script())
        .arg("-r")
        .arg(empty.path())
        .arg("true"));
    assert_eq!(outcome.code(), 3, "{outcome}");
    let said = outcome.err();
    let why = format!("{} has no /usr/lib/systemd/systemd", empty.path().display());
    let is_root = nix::unistd::geteuid().is_root();
    assert!(
        said.lines().count() == 1 && (!is_root || said.contains(&why)),
        "{said}"
    );
}

/// A systemd that is up.
struct Up {
    /// What ran the script.
    caller: Child,
    /// Its process 1.
    init: Process,
    /// Its cgroup, as the test's own cgroup namespace names it.
    cgroup: String,
}

impl Up {
    fn new(command: &mut Command) -> Option<Up> {
        let (caller, init) = bring_up(command)?;
        let text = fs::read_to_string(format!("/proc/{init}/cgroup")).expect("it runs");
        let own = text.lines().find_map(|line| line.strip_prefix("0::"));
        let cgroup = own.and_then(|own| own.strip_suffix("/init.scope"));
        Some(Up {
            caller,
            init: Process::open(i32::try_from(init).expect("a pid")).expect("it runs"),
            cgroup: cgroup.expect("systemd lives in init.scope").to_owned(),
        })
    }

    /// Process 1 ends, and with it all in its namespaces; then the cgroup goes.
    fn assert_gone(&self) {
        assert!(self.init.ends_within(LIMIT), "process 1 runs on");
        let line = format!(
            "mount -t cgroup2 none /sys/fs/cgroup || exit 2
             deadline=$(($(date +%s) + {}))
             while [ -e '/sys/fs/cgroup{}' ]; do
                 [ $(date +%s) -lt $deadline ] || exit 1
                 sleep 0.02
             done",
            LIMIT.as_secs() - 10,
            self.cgroup
        );
        let outcome = run(Command::new("unshare").args(["--mount", "sh", "-c", &line]));
        assert_eq!(outcome.code(), 0, "{} is left: {outcome}", self.cgroup);
    }
}
