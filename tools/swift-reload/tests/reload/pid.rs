//! One PID: the command line, the messages and the exit statuses of Swift's own.

use std::io::{Read as _, Write as _};

use test_helpers::{Outcome, Sandbox, run};

use crate::rows::TOO_OLD;

use crate::play::{Going, fifo, happen, reload, sandbox, start, start_slow};

fn told(outcome: &Outcome) -> (String, String, i32) {
    (outcome.out(), outcome.err(), outcome.code())
}

fn says(out: &str, err: &str, code: i32) -> (String, String, i32) {
    (out.into(), err.into(), code)
}

fn by_pid(sandbox: &Sandbox, args: &[&str], pid: impl ToString) -> (String, String, i32) {
    let pid = pid.to_string();
    let args: Vec<&str> = args.iter().copied().chain([pid.as_str()]).collect();
    told(&reload(sandbox, &args, ""))
}

#[test]
fn a_server_is_reloaded() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "");
    let done = "Reloaded swift-object-server\n";
    assert_eq!(by_pid(&sandbox, &[], server.pid), says(done, "", 0));
    let steps = "Checking config for swift-object-server\n\
                 Sending USR1 signal\n\
                 Process is RELOADING\n\
                 Process is READY\n";
    let all = format!("{steps}{done}");
    assert_eq!(by_pid(&sandbox, &["-v"], server.pid), says(&all, "", 0));
}

#[test]
fn without_waiting_the_signal_is_all() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = silent");
    let all = "Sending USR1 signal\nReloaded swift-object-server\n";
    let args = ["-wv", "--no-check"];
    assert_eq!(by_pid(&sandbox, &args, server.pid), says(all, "", 0));
}

#[test]
fn what_is_no_server_is_told_in_the_originals_words() {
    let sandbox = sandbox();
    for pid in ["99999999", "0", "2147483648"] {
        let failed = format!("Failed to get process information for {pid}\n");
        assert_eq!(by_pid(&sandbox, &[], pid), says("", &failed, 2));
    }
    let mut cat = std::process::Command::new("cat")
        .args(["-", "it's"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // What it copies says that it runs.
    cat.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    let copied = cat.stdout.as_mut().unwrap().read_exact(&mut [0]);
    copied.unwrap();
    let stranger = "Non-swift process: \"cat - it's\"\n";
    assert_eq!(by_pid(&sandbox, &[], cat.id()), says("", stranger, 2));
    drop(cat.stdin.take());
    cat.wait().unwrap();
}

/// Two units with PrivateUsers=, or the two halves of one, do not see each other where ProtectProc= hides
/// what may not be traced.
#[test]
fn a_process_that_proc_hides_is_not_told_of_as_gone() {
    let sandbox = Sandbox::in_namespace();
    sandbox.install(&["object-server"]);
    sandbox.conf("object-server.conf", "tell = /run/begun");
    let outcome = run(sandbox.command("sh").args([
        "-c",
        "mkfifo /run/begun; swift-object-server /etc/swift/object-server.conf & </run/begun; pid=$!
         mount -o remount,hidepid=invisible /proc || exit
         setpriv --reuid 65534 --regid 65534 --clear-groups $(which swift-reload) $pid 2>&1 |
             sed s/$pid/PID/",
    ]));
    let hidden = "Failed to get process information for PID\n\
                  swift-reload: cannot inspect PID: it lives, and /proc does not show it\n";
    // Without root there is no other user to become.
    if swift_server::user::is_root() {
        assert_eq!(told(&outcome), says(hidden, "", 0));
    }
}

/// Starts a server in a network namespace of its own, as `PrivateNetwork=` does, with a prefix to its
/// command line, and reloads it from outside with another.
fn across_networks(server: &str, reloader: &str, option: &str) -> Outcome {
    let sandbox = Sandbox::in_namespace();
    sandbox.install(&["object-server"]);
    sandbox.conf("object-server.conf", "tell = /run/begun");
    let line = format!(
        "mkfifo -m 666 /run/begun
         unshare --net {server} $(which swift-object-server) /etc/swift/object-server.conf & </run/begun; pid=$!
         {reloader} $(which swift-reload) {option} $pid 2>&1 | sed s/$pid/PID/"
    );
    run(sandbox.command("sh").args(["-c", &line]))
}

#[test]
fn a_server_in_another_network_namespace_is_heard_by_root() {
    let reloaded = "Reloaded swift-object-server\n";
    assert_eq!(told(&across_networks("", "", "")), says(reloaded, "", 0));
}

#[test]
fn that_a_server_in_another_network_namespace_is_not_heard_is_told() {
    if !swift_server::user::is_root() {
        return;
    }
    let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let outcome = across_networks(user, user, "--no-wait");
    let unheard = "swift-reload: reloading PID (object-server) without its notifications: \
                   its socket is in another network namespace\n\
                   Reloaded swift-object-server\n";
    assert_eq!(told(&outcome), says(unheard, "", 0));
}

#[test]
fn what_cannot_be_reloaded_is_told_in_the_originals_words() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "workers = 1");
    let worker = format!(
        "Process appears to be a swift-object-server worker, not a manager. Did you mean {}?\n",
        server.pid
    );
    assert_eq!(by_pid(&sandbox, &[], server.child()), says("", &worker, 2));
    let up = fifo(&sandbox, "up");
    sandbox.conf("object-server.conf", &format!("tell = {}", up.display()));
    let line = "swift-object-updater etc/object-server.conf >/dev/null & <up echo $!";
    let updater = test_helpers::run(sandbox.command("sh").args(["-c", line]));
    let unable = "Process does not support config checks: swift-object-updater\n";
    assert_eq!(
        by_pid(&sandbox, &[], updater.out().trim()),
        says("", unable, 2)
    );
}

#[test]
fn a_bad_config_is_not_signalled() {
    let sandbox = sandbox();
    // The server's own output is what it is, on the stream that it chose.
    let server = start(
        &sandbox,
        1,
        r"reload = die
        check_exit = 1
        check_print = no such thing\n",
    );
    let said = says("no such thing\n", "Failed to validate config\n", 1);
    assert_eq!(by_pid(&sandbox, &[], server.pid), said);
    assert!(server.lives());
}

#[test]
fn a_server_whose_script_is_gone_is_not_signalled() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = die");
    let program = sandbox.path("bin/swift-object-server");
    std::fs::remove_file(&program).unwrap();
    let failed = format!(
        "swift-reload: cannot reload {} (object-server): its program is missing\n\
         Failed to validate config\n",
        server.pid
    );
    assert_eq!(by_pid(&sandbox, &[], server.pid), says("", &failed, 1));
    // A wrapper in its place, of which the target is missing: Python and some shells exit with 2.
    sandbox.script("swift-object-server", "echo cannot open it >&2; exit 2");
    let failed = says("", "cannot open it\nFailed to validate config\n", 1);
    assert_eq!(by_pid(&sandbox, &[], server.pid), failed);
    // An interpreter that is missing, as where a virtual environment was deleted.
    std::fs::write(&program, "#!/no/such/venv/bin/python\n").unwrap();
    let (_, err, code) = by_pid(&sandbox, &[], server.pid);
    assert!(err.ends_with("Failed to validate config\n"), "{err}");
    assert_eq!(code, 1);
    assert!(server.lives());
}

#[test]
fn a_server_too_old_to_check_is_reloaded_without_its_usage() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, TOO_OLD);
    let warning = "swift-reload: swift-object-server is too old to check configs, and no \
                   swift-config stands beside it; going on without a check\n";
    let done = says("Reloaded swift-object-server\n", warning, 0);
    assert_eq!(by_pid(&sandbox, &[], server.pid), done);
    sandbox.script("swift-config", "echo secret; echo bad >&2; exit 1");
    let failed = says("", "bad\nFailed to validate config\n", 1);
    assert_eq!(by_pid(&sandbox, &[], server.pid), failed);
    sandbox.script("swift-config", "echo secret; echo a warning >&2");
    let done = says("Reloaded swift-object-server\n", "", 0);
    assert_eq!(by_pid(&sandbox, &[], server.pid), done);
}

#[test]
fn the_config_is_checked_where_the_process_is() {
    let sandbox = sandbox();
    let up = fifo(&sandbox, "up");
    // Seen from anywhere else, the config is not there and says nothing.
    let lines = format!("tell = {}\nreload = die\ncheck_exit = 1", up.display());
    sandbox.conf("object-server.conf", &lines);
    let line = "cd etc; swift-object-server object-server.conf >/dev/null & <../up echo $!";
    let server = test_helpers::run(sandbox.command("sh").args(["-c", line]));
    let failed = says("", "Failed to validate config\n", 1);
    assert_eq!(by_pid(&sandbox, &[], server.out().trim()), failed);
}

#[test]
fn a_check_that_takes_too_long_is_a_bad_config() {
    let sandbox = sandbox();
    let never = fifo(&sandbox, "never");
    let lines = format!("reload = die\ncheck_after = {}", never.display());
    let server = start(&sandbox, 1, &lines);
    let failed = format!(
        "swift-reload: cannot reload {} (object-server): the check of its config took too long\n\
         Failed to validate config\n",
        server.pid
    );
    let args = ["--check-timeout=0.1"];
    assert_eq!(by_pid(&sandbox, &args, server.pid), says("", &failed, 1));
}

#[test]
fn silence_has_an_exit_status_of_its_own() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = silent");
    let timed_out = says("", "Timed out reloading swift-object-server\n", 238);
    assert_eq!(by_pid(&sandbox, &["-t", "0.2"], server.pid), timed_out);
}

#[test]
fn death_is_noticed_at_once() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = die");
    let (out, err, code) = by_pid(&sandbox, &[], server.pid);
    assert_eq!((out.as_str(), code), ("", 1));
    let who = format!(
        "swift-reload: cannot reload {} (object-server): it ",
        server.pid
    );
    assert!(err.starts_with(&who), "{err}");
}

#[test]
fn a_server_that_the_signal_would_kill_is_left_alone() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = default");
    let refused = format!(
        "swift-reload: cannot reload {} (object-server): SIGUSR1 would kill it\n",
        server.pid
    );
    assert_eq!(
        by_pid(&sandbox, &["-t0.2"], server.pid),
        says("", &refused, 1)
    );
    assert!(server.lives());
}

#[test]
fn a_server_that_has_just_been_started_is_waited_for() {
    let sandbox = sandbox();
    let event = fifo(&sandbox, "event");
    let server = start_slow(&sandbox, 1, &event);
    let mut going = Going::start(&sandbox, &["-v", &server.pid.to_string()], "");
    going.until("Waiting until");
    happen(&event);
    going.until("Process is RELOADING");
    let rest = "Process is READY\nReloaded swift-object-server\n";
    assert_eq!(going.finish(), (rest.into(), Some(0)));
}

#[test]
fn a_sites_own_server_is_known() {
    let sandbox = sandbox();
    sandbox.install(&["hello-server"]);
    let up = fifo(&sandbox, "up");
    sandbox.conf("hello-server.conf", &format!("tell = {}", up.display()));
    let line = "swift-hello-server etc/hello-server.conf >/dev/null & <up echo $!";
    let server = test_helpers::run(sandbox.command("sh").args(["-c", line]));
    let unable = says(
        "",
        "Process does not support config checks: swift-hello-server\n",
        2,
    );
    assert_eq!(by_pid(&sandbox, &[], server.out().trim()), unable);
    let site = "[server.hello-server]\nseamless = \"USR1\"\ncheck = true\nnotify = true\n";
    std::fs::write(sandbox.etc().join("swift-init.toml"), site).unwrap();
    let done = says("Reloaded swift-hello-server\n", "", 0);
    assert_eq!(by_pid(&sandbox, &[], server.out().trim()), done);
}

#[test]
fn a_server_that_cannot_check_is_reloaded_all_the_same() {
    let sandbox = sandbox();
    sandbox.install(&["hello-server"]);
    let up = fifo(&sandbox, "up");
    // Its check would say that its config is bad.
    let lines = format!("tell = {}\ncheck_exit = 1", up.display());
    sandbox.conf("hello-server.conf", &lines);
    let line = "swift-hello-server etc/hello-server.conf >/dev/null & <up echo $!";
    let server = test_helpers::run(sandbox.command("sh").args(["-c", line]));
    let done = says("Reloaded swift-hello-server\n", "", 0);
    for (check, args) in [("false", &[][..]), ("true", &["--no-check"])] {
        let site = format!("[server.hello-server]\nseamless = \"USR1\"\ncheck = {check}\n");
        for notify in ["", "notify = true\n"] {
            let site = format!("{site}{notify}");
            std::fs::write(sandbox.etc().join("swift-init.toml"), &site).unwrap();
            assert_eq!(by_pid(&sandbox, args, server.out().trim()), done, "{site}");
        }
    }
}

#[test]
fn a_server_whose_seamless_reload_was_unset_is_refused() {
    let sandbox = sandbox();
    let server = start(&sandbox, 1, "reload = die");
    let site = "[server.object-server]\nseamless = \"\"\n";
    std::fs::write(sandbox.etc().join("swift-init.toml"), site).unwrap();
    let unable = "Process does not support config checks: swift-object-server\n";
    assert_eq!(by_pid(&sandbox, &[], server.pid), says("", unable, 2));
}
