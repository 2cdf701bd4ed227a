//! swift-pidfile --owned: which unit of systemd owns a server. The kernel's word, the control group, is
//! a file that is mounted in its place.
#![forbid(unsafe_code)]

use test_helpers::{LIMIT, Outcome, Sandbox, run_with};

/// Starts a server by a line that ends with the server's program and its config, shows these lines of
/// control groups for it and for what is called `swift-init`, and looks at its row with `swift-pidfile
/// --owned`, as a process of no unit unless `look` says otherwise.
fn look(start: &str, cgroup: &str, look: &str) -> Outcome {
    let sandbox = Sandbox::in_namespace();
    sandbox.install(&["object-server"]);
    sandbox.conf("object-server.conf", "tell = /run/up");
    // It is the parent of the server, as swift-spawn's parent is its grandparent.
    sandbox.script("swift-init", "\"$@\" & wait");
    let line = format!(
        "cd /run; mkfifo up; export SERVER='swift-object-server /etc/swift/object-server.conf'
         {start} & cat up; printf '{cgroup}\\n' >cgroup
         for process in /proc/[0-9]*; do
             case $(tr '\\0' ' ' 2>&- <$process/cmdline) in
             \"$SERVER \") echo -n ${{process#/proc/}} >swift/object-server.pid ;;
             */swift-init*) ;;
             *) continue ;;
             esac
             mount --bind cgroup $process/cgroup
         done
         {look} swift-pidfile --owned"
    );
    let row = "object-server\t/etc/swift/object-server.conf\t/run/swift/object-server.pid\t-\t-\tconfigured\t-\n";
    let mut command = sandbox.command("sh");
    run_with(command.args(["-c", &line]), row.as_bytes(), LIMIT)
}

/// The columns state and detail of the only row.
fn said(outcome: &Outcome) -> String {
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    let rows = outcome.rows();
    assert_eq!(rows.len(), 1, "{outcome}");
    assert_ne!(rows[0][4], "-", "{outcome}");
    rows[0][5..].join(" ")
}

/// systemd has executed the server itself.
const MAIN: &str = "sh -c 'SYSTEMD_EXEC_PID=$$ exec $SERVER'";
/// systemd has executed the swift-init that runs it.
const BENEATH: &str = "sh -c 'SYSTEMD_EXEC_PID=$$ exec swift-init $SERVER'";
const SERVICE: &str = "0::/system.slice/system-swift.slice/swift@object.service";

/// Fails when only the main process itself is owned, and when the control group is not looked at.
#[test]
fn a_unit_owns_its_main_process_and_what_swift_init_runs() {
    for start in [MAIN, BENEATH] {
        let outcome = look(start, SERVICE, "");
        assert_eq!(said(&outcome), "owned unit swift@object.service", "{start}");
    }
    let user = "0::/user.slice/user-7.slice/user@7.service/app.slice/x.service";
    assert_eq!(
        said(&look(MAIN, user, "")),
        "owned unit --user --machine=7@ x.service"
    );
}

/// Fails when the control group alone makes an owner: a job of an agent, with the agent above it or
/// gone; what cron has started, which clears the environment; a terminal of a user.
#[test]
fn a_unit_does_not_own_what_is_only_in_its_control_group() {
    for start in [
        "sh -c 'export SYSTEMD_EXEC_PID=$$; $SERVER & wait'",
        "sh -c 'SYSTEMD_EXEC_PID=$$ setsid $SERVER &'",
        "sh -c 'export SYSTEMD_EXEC_PID=$$; swift-init $SERVER & wait'",
        "env -u SYSTEMD_EXEC_PID setsid $SERVER",
        "SYSTEMD_EXEC_PID=x setsid $SERVER",
        "SYSTEMD_EXEC_PID=1 setsid $SERVER",
    ] {
        assert_eq!(said(&look(start, SERVICE, "")), "running -", "{start}");
    }
    for cgroup in [
        "0::/user.slice/user-0.slice/session-1.scope",
        "0::/system.slice/docker-0123.scope",
        "0::/../../swift@object.service",
        "0::/",
        "",
    ] {
        assert_eq!(said(&look(MAIN, cgroup, "")), "running -", "{cgroup}");
    }
}

/// Fails when the caller's own unit is refused to it.
#[test]
fn nothing_owns_what_is_in_the_unit_of_the_caller() {
    let inside = "sh -c 'mount --bind cgroup /proc/$$/cgroup; exec \"$@\"' sh";
    assert_eq!(said(&look(BENEATH, SERVICE, inside)), "running -");
}

/// Fails when an environment that may not be read makes an owner, or a failure.
#[test]
fn nothing_is_known_of_an_environment_that_may_not_be_read() {
    // What may do less than its kind may not look at it (ptrace(2)), and may signal it.
    let weak = "setpriv --bounding-set=-all --inh-caps=-all";
    assert_eq!(said(&look(MAIN, SERVICE, weak)), "running -");
}
