//! Rows in, rows out: what becomes of one.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::play::{Going, fifo, happen, is_root, reload, said, sandbox, start, start_slow};

/// The words with which optparse refuses an option, and its exit status.
pub const TOO_OLD: &str = r"check_exit = 2
    check_print = Usage: x\n\nx: error: no such option: --test-config\n";

#[test]
fn a_server_is_signalled_then_reloaded() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "");
    let outcome = reload(&sandbox, &[], &server.running());
    let rows = server.row("signalled\t-") + &server.row("reloaded\t-");
    assert_eq!((outcome.out(), outcome.code()), (rows, 0), "{outcome}");
    assert_eq!(outcome.err(), "");
}

#[test]
fn without_waiting_the_signal_is_all() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = silent");
    let outcome = reload(&sandbox, &["--no-wait"], &server.running());
    assert_eq!(
        (said(&outcome), outcome.code()),
        (vec!["signalled -".into()], 0)
    );
}

#[test]
fn other_rows_pass_unchanged() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = die");
    let rows = [
        "object-server\t-\t-\t-\t-\tunconfigured\tabsent\n",
        &server.row("starting\t-"),
        &server.row("stopped\tstale"),
        &server.row("misconfigured\texit-1 a\\nb"),
        // A daemon knows no seamless reload.
        "object-updater\t/etc/swift/object-server.conf\t/run/swift/object-updater.pid\t7\t8\trunning\t-\n",
    ]
    .concat();
    let outcome = reload(&sandbox, &[], &rows);
    assert_eq!((outcome.out(), outcome.code()), (rows, 0), "{outcome}");
    assert!(server.lives());
}

#[test]
fn a_bad_config_is_not_signalled() {
    let sandbox = sandbox();
    let lines = r"reload = die
        check_exit = 1
        check_print = Traceback:\nno such thing\n";
    let server = start(&sandbox, 1, lines);
    let outcome = reload(&sandbox, &[], &server.running());
    assert_eq!(
        (said(&outcome), outcome.code()),
        (
            vec![r"misconfigured exit-1 Traceback:\nno such thing\n".into()],
            1
        )
    );
    let who = format!("swift-reload: cannot reload {} (object-server)", server.pid);
    assert_eq!(
        outcome.err(),
        format!("{who}: its config is bad (exit status 1): no such thing\n")
    );
    assert!(server.lives());
    let quiet = reload(&sandbox, &["-q"], &server.running());
    assert_eq!((quiet.err(), quiet.code()), (String::new(), 1));
}

#[test]
fn a_check_that_takes_too_long_is_a_bad_config() {
    let sandbox = sandbox();
    let never = fifo(&sandbox, "never");
    let lines = format!("reload = die\ncheck_after = {}", never.display());
    let server = start(&sandbox, 1, &lines);
    let outcome = reload(&sandbox, &["--check-timeout=0.1"], &server.running());
    assert_eq!(said(&outcome), ["misconfigured timeout"]);
    assert!(server.lives());
}

#[test]
fn servers_too_old_to_check_are_reloaded_with_one_warning() {
    let sandbox = sandbox();
    let (one, two) = (start(&sandbox, 1, TOO_OLD), start(&sandbox, 2, TOO_OLD));
    let rows = one.running() + &two.running();
    let outcome = reload(&sandbox, &["-q", "--one-by-one"], &rows);
    let both = ["signalled -", "reloaded -"].repeat(2);
    assert_eq!(said(&outcome), both);
    assert_eq!(
        outcome.err(),
        "swift-reload: swift-object-server is too old to check configs, and no swift-config stands \
         beside it; going on without a check\n"
    );
}

#[test]
fn a_server_too_old_to_check_is_checked_by_swift_config() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, &format!("{TOO_OLD}\nreload = die"));
    sandbox.script("swift-config", "echo \"$@\" >&2; echo secret; exit 1");
    let outcome = reload(&sandbox, &["-q"], &server.running());
    let config = server.config.display();
    let bad = format!(r"misconfigured exit-1 -w {config}\n");
    assert_eq!((said(&outcome), outcome.code()), (vec![bad], 1));
    assert_eq!(outcome.err(), "");
    assert!(server.lives());

    sandbox.script("swift-config", "exit 0");
    let server = start(&sandbox, 2, TOO_OLD);
    let outcome = reload(&sandbox, &[], &server.running());
    assert_eq!(said(&outcome), ["signalled -", "reloaded -"]);
    assert_eq!(outcome.err(), "");
}

#[test]
fn exit_status_2_alone_is_no_leave_to_go_on_without_a_check() {
    let sandbox = sandbox();
    let lines = r"reload = die
        check_exit = 2
        check_print = python3: can't open file 'x': [Errno 2] No such file or directory\n";
    let server = start(&sandbox, 1, lines);
    let outcome = reload(&sandbox, &["-q"], &server.running());
    assert!(said(&outcome)[0].starts_with("misconfigured exit-2 python3: can't open file"));
    assert_eq!((outcome.code(), outcome.err()), (1, String::new()));
    assert!(server.lives());
}

#[test]
fn a_check_can_be_left_out() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "check_exit = 1");
    let outcome = reload(&sandbox, &["--no-check"], &server.running());
    assert_eq!(said(&outcome), ["signalled -", "reloaded -"]);
}

#[test]
fn death_is_noticed_at_once() {
    let sandbox = sandbox();
    for (number, way) in [(1, "die"), (2, "fail")] {
        let server = start(&sandbox, number, &format!("reload = {way}"));
        let outcome = reload(&sandbox, &[], &server.running());
        assert_eq!(said(&outcome), ["signalled -", "unreloaded vanished"]);
        assert_eq!(outcome.code(), 1);
    }
}

#[test]
fn death_during_the_check_is_noticed_at_once() {
    let sandbox = sandbox();
    let never = fifo(&sandbox, "never");
    let server = start(&sandbox, 1, &format!("check_after = {}", never.display()));
    let mut going = Going::start(&sandbox, &["-v"], &server.running());
    going.until("checking the config");
    let kill = format!("kill {}", server.pid);
    test_helpers::run(sandbox.command("sh").args(["-c", &kill]));
    let (rest, status) = going.finish();
    assert!(rest.contains("\tunreloaded\t"), "{rest}");
    assert_eq!(status, Some(1));
}

#[test]
fn silence_ends_in_time() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = silent");
    let outcome = reload(&sandbox, &["-t0.2"], &server.running());
    assert_eq!(said(&outcome), ["signalled -", "unreloaded timeout"]);
    assert_eq!(outcome.code(), 1);
}

#[test]
fn only_the_server_itself_is_believed() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = silent");
    let mut going = Going::start(&sandbox, &["-t1"], &server.running());
    going.until("\tsignalled\t");
    let name = format!("swift-notifications\0{}", server.pid);
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let forger = UnixDatagram::unbound().unwrap();
    for lie in ["RELOADING=1", "READY=1", "STOPPING=1"] {
        forger.send_to_addr(lie.as_bytes(), &address).unwrap();
    }
    let (rest, _) = going.finish();
    assert!(rest.contains("\tunreloaded\ttimeout\n"), "{rest}");
}

#[test]
fn a_server_that_the_signal_would_kill_is_left_alone() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = default");
    let outcome = reload(&sandbox, &["-t0.2"], &server.running());
    assert_eq!(
        said(&outcome),
        ["unreloaded unsupported SIGUSR1 would kill it"]
    );
    assert!(server.lives());
}

#[test]
fn a_server_that_has_just_been_started_is_waited_for() {
    let sandbox = sandbox();
    let event = fifo(&sandbox, "event");
    let server = start_slow(&sandbox, 1, &event);
    let mut going = Going::start(&sandbox, &["-v"], &server.running());
    going.until("waiting until");
    happen(&event);
    going.until("\tsignalled\t");
    going.until("\treloaded\t");
    assert_eq!(going.finish().1, Some(0));
}

#[test]
fn what_is_not_the_rows_server_is_left_alone() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = die");
    let row = server.running();
    let other_start = row.replace("\t-\trunning", "\t1\trunning");
    let me = std::process::id().to_string();
    let pid = format!("\t{}\t", server.pid);
    for (row, end) in [
        (other_start, "vanished"),
        (row.replace(&pid, &format!("\t{me}\t")), "vanished"),
        (row.replace(&pid, "\t4194305\t"), "vanished"),
        (row.replace(&pid, "\t-\t"), "vanished"),
        (
            row.replace("running\t-", "running\torphan"),
            "unsupported SIGUSR1 would kill it: its config is gone",
        ),
    ] {
        let outcome = reload(&sandbox, &[], &row);
        assert_eq!(
            (said(&outcome), outcome.code()),
            (vec![format!("unreloaded {end}")], 1)
        );
    }
    assert!(server.lives());
}

/// Fails when such a server counts as gone: it runs, and the row's config may be the wrong one.
#[test]
fn a_server_with_another_config_is_told_and_left_alone() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = die");
    let other = sandbox.conf("object-server/2.conf", "");
    let row = server.running().replace("/1.", "/2.");
    let outcome = reload(&sandbox, &[], &row);
    let own = server.config.display();
    let wanted = vec![format!("wrong-config config {own}")];
    assert_eq!((said(&outcome), outcome.code()), (wanted, 1), "{outcome}");
    let told = format!(
        "swift-reload: {} (object-server): {} runs with {own}, not {}\n",
        row.split('\t').nth(2).unwrap(),
        server.pid,
        other.display()
    );
    assert_eq!(outcome.err(), told);
    // The start of another process, and a process that has a pid file of its own.
    let other_start = row.replace("\t-\trunning", "\t1\trunning");
    let outcome = reload(&sandbox, &[], &other_start);
    assert_eq!(said(&outcome), ["unreloaded vanished"], "{outcome}");
    sandbox.pid_file("object-server/1.pid", server.pid.to_string());
    let outcome = reload(&sandbox, &[], &row);
    assert_eq!(said(&outcome), ["unreloaded vanished"], "{outcome}");
    assert!(server.lives());
}

#[test]
fn a_worker_is_not_the_server() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "workers = 1");
    let row = server.running();
    let row = row.replace(
        &format!("\t{}\t", server.pid),
        &format!("\t{}\t", server.child()),
    );
    let outcome = reload(&sandbox, &[], &row);
    let why = format!("unreloaded unsupported it is a worker of {}", server.pid);
    assert_eq!(said(&outcome), [why]);
}

#[test]
fn who_may_not_signal_is_told_so() {
    let sandbox = sandbox();
    if !is_root("a server of another user is left alone") {
        return;
    }
    let server = start(&sandbox, 1, "reload = die\nuser = 65534");
    let mut command = sandbox.command("setpriv");
    command.args(["--bounding-set=-kill", "swift-reload"]);
    let outcome = test_helpers::run_with(
        &mut command,
        server.running().as_bytes(),
        test_helpers::LIMIT,
    );
    assert_eq!(said(&outcome), ["denied permission"], "{outcome}");
    assert_eq!(
        outcome.err(),
        format!(
            "swift-reload: cannot signal {} (object-server): Operation not permitted\n",
            server.pid
        )
    );
}

#[test]
fn a_config_is_checked_as_the_servers_own_user() {
    let sandbox = sandbox();
    if !is_root("a config is checked as the server's own user") {
        return;
    }
    let server = start(&sandbox, 1, "user = 65534");
    // Its own command line, with its own arguments, in the hands of its own user.
    let trace = sandbox.path("trace");
    std::fs::write(&trace, "").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&trace, open).unwrap();
    std::fs::remove_file(sandbox.path("bin/swift-object-server")).unwrap();
    let script = format!("#!/bin/sh\necho $(id -u) $* >{}\n", trace.display());
    let program = sandbox.path("bin/swift-object-server");
    std::fs::write(&program, script).unwrap();
    let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, runs).unwrap();
    let outcome = reload(&sandbox, &[], &server.running());
    assert_eq!(said(&outcome), ["signalled -", "reloaded -"], "{outcome}");
    let config = server.config.display();
    assert_eq!(
        std::fs::read_to_string(&trace).unwrap(),
        format!("65534 {config} --test-config\n")
    );
}

#[test]
fn bad_lines_are_never_obeyed() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = die");
    let cut = server.running();
    let rows = format!(
        "nonsense\n{}{}",
        server.running().replace("1.pid", "2.pid"),
        cut.trim_end()
    );
    let outcome = reload(&sandbox, &[], &rows);
    assert_eq!((outcome.out().as_str(), outcome.code()), ("", 2));
    let told = outcome.err();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "swift-reload: line 1: 1 field instead of 7");
    assert!(
        lines[1].starts_with("swift-reload: line 2: field 3: "),
        "{told}"
    );
    assert_eq!(lines[2], "swift-reload: line 3: ends without a newline");
    assert!(server.lives());
}
