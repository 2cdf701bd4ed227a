//! A seamless reload, by rows and by a PID: SIGUSR1 kills who does not know it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::fixture::{ALL, Fixture, Successor, pairs, python, row, said};
use crate::soak::times;

/// Fails when the process is looked at before it is opened, and when the signal is sent to a number
/// instead of through the pidfd.
#[test]
fn a_reload_of_an_ended_server_signals_no_process() {
    let points = [
        "process-opened",
        "inspected",
        "bound",
        "checked",
        "proven",
        "signalled",
    ];
    let cases = pairs(&points, &ALL);
    Fixture::rounds(times(30, 900), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server();
        let rows = row(&server, "running\t-");
        let at = format!("swift-reload:{point}");
        let paused = fixture.up_to(&at, "swift-reload", &[], &rows);
        let successor = fixture.swap(&server, who);
        let outcome = paused.finish();
        let wanted: &[&str] = match point {
            "signalled" => &["signalled -", "unreloaded vanished"],
            _ => &["unreloaded vanished"],
        };
        assert_eq!(said(&outcome), wanted, "{round}: {outcome}");
        assert_eq!(outcome.code(), 1, "{round}");
        fixture.cleaned(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// Fails when the command line or the start is not compared with the row.
#[test]
fn pid_reuse_before_a_reload_gets_no_signal() {
    Fixture::rounds(times(10, 500), &ALL, |fixture, &who| {
        let round = format!("{who:?}");
        let server = fixture.server();
        let seen = fixture.run(
            "swift-pidfile",
            &["--clean", "--running"],
            &fixture.resolve(),
        );
        let successor = fixture.swap(&server, who);
        let outcome = fixture.run("swift-reload", &[], &seen.out());
        assert_eq!(
            said(&outcome),
            ["unreloaded vanished"],
            "{round}: {outcome}"
        );
        fixture.cleaned(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// Of a PID as an argument nothing else is known, so it means who has it when the tool begins.
///
/// Fails like the rounds by rows.
#[test]
fn a_pid_argument_is_the_process_that_had_it_first() {
    let points = [
        "pid-opened",
        "inspected",
        "bound",
        "checked",
        "proven",
        "signalled",
    ];
    let cases = pairs(&points, &ALL);
    Fixture::rounds(times(30, 600), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server();
        let pid = server.pid.to_string();
        let at = format!("swift-reload:{point}");
        let paused = fixture.up_to(&at, "swift-reload", &[&pid], "");
        let successor = fixture.swap(&server, who);
        let outcome = paused.finish();
        let is_server = matches!(who, Successor::Other | Successor::Again);
        let wanted = match point {
            "pid-opened" if !is_server => (
                format!("Non-swift process: '{}'\n", who.line().join(" ")),
                2,
            ),
            "pid-opened" | "inspected" => {
                (format!("Failed to get process information for {pid}\n"), 2)
            }
            _ => {
                let who = format!("{pid} (object-server)");
                (
                    format!("swift-reload: cannot reload {who}: it has ended\n"),
                    1,
                )
            }
        };
        assert_eq!((outcome.err(), outcome.code()), wanted, "{round}");
        fixture.unharmed(&successor, &round);
    });
}

/// A server that was called by a path like `bin/swift-object-server` checks its config in its own
/// folder, and not in that of who has its number by then, where another program may lie under that
/// name.
///
/// Fails when the folder is looked up after the process was proven: then the other one's program is
/// executed, with the rights of the reload.
#[test]
fn no_check_runs_in_the_directory_of_a_reused_pid() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let folder = fixture.sandbox.path("elsewhere");
    // The server itself is in the folder `/`.
    let own = fixture.sandbox.path("bin/swift-object-server");
    let own = own.strip_prefix("/").expect("an absolute path").to_owned();
    let program = folder.join(&own);
    let parent = program.parent().expect("it lies in a folder");
    fs::create_dir_all(parent).expect("the sandbox can be written");
    fs::write(&program, "#!/bin/sh\n").expect("the sandbox can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    // Successor executes a file opens it.
    let opened = Inotify::init(InitFlags::IN_NONBLOCK).expect("there is inotify");
    let watched = opened.add_watch(&program, AddWatchFlags::IN_OPEN);
    watched.expect("the file is there");
    let folder = folder.to_str().expect("a path in letters").to_owned();
    let successor = test_helpers::tools_dir().join("pid-reuser");
    let successor = successor.to_str().expect("a path in letters").to_owned();
    fixture.play(times(2, 100), &["bound"], |fixture, point| {
        let own = own.to_str().expect("a path in letters");
        let line = [own, Successor::Again.line()[1]];
        let server = fixture.reuser.start(0, &line);
        fixture.write_pid_file(server.pid);
        let point = format!("swift-reload:{point}");
        let rows = row(&server, "running\t-");
        let paused = fixture.up_to(&point, "swift-reload", &[], &rows);
        fixture.reuser.free(server.pid);
        let line = ["env", "-C", &folder, "PID_REUSER_PART=0", &successor];
        let successor = fixture.reuser.take_by(server.pid, "/usr/bin/env", &line);
        let outcome = paused.finish();
        let events = opened.read_events();
        assert_eq!(events.err(), Some(Errno::EAGAIN), "it was executed");
        assert_eq!(said(&outcome), ["unreloaded vanished"], "{outcome}");
        fixture.cleaned(&successor, Successor::Unrelated, &point);
        fixture.unharmed(&successor, &point);
    });
}

/// Executes itself anew on SIGUSR1 and announces nothing.
const SILENT: &str = "
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: os.execv(sys.argv[0], sys.argv))
signal.pthread_sigmask(signal.SIG_SETMASK, [])
os.getsid(0) == os.getpid() or os.setsid()
print(flush=True)
while True: signal.pause()
";

/// A reload that was seen to be over is one only if its process lives still: what is looked at goes by
/// the number.
///
/// Fails when the pidfd is not asked after the last look.
#[test]
fn an_exec_of_a_reused_pid_is_no_reload() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let program = fixture.sandbox.path("bin/swift-object-server");
    fs::remove_file(&program).expect("the sandbox is ours");
    fs::write(&program, format!("#!{}{SILENT}", python())).expect("the sandbox is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fixture.play(times(5, 200), &ALL, |fixture, &who| {
        let round = format!("{who:?}");
        let server = fixture.real_server();
        let rows = row(&server, "running\t-");
        let args = ["--no-check"];
        let paused = fixture.up_to("swift-reload:answered", "swift-reload", &args, &rows);
        let successor = fixture.swap(&server, who);
        let outcome = paused.finish();
        let wanted = ["signalled -", "unreloaded vanished"];
        assert_eq!(said(&outcome), wanted, "{round}: {outcome}");
        fixture.cleaned(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// Says of its number what a server of swift-serve says whose reload failed.
const LIAR: &str = "
import os, socket, sys
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = '\\0swift-notifications\\0%d' % os.getpid()
speaker.sendto(b'RELOADING=1\\nX_SWIFT_RELOAD=failed never mind\\nREADY=1', name)
print(flush=True)
sys.stdin.read()
";

/// The name under which a server speaks goes by its number, so who comes after can speak for it.
///
/// Fails when what is said is believed without a look whether the process still lives: then the row is
/// `unreloaded refused never mind`, as if the old generation served on.
#[test]
fn notifications_of_a_reused_pid_are_ignored() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    fixture.play(times(2, 50), &["signalled"], |fixture, point| {
        let server = fixture.server();
        let rows = row(&server, "running\t-");
        let point = format!("swift-reload:{point}");
        let paused = fixture.up_to(&point, "swift-reload", &[], &rows);
        fixture.reuser.free(server.pid);
        let python = python();
        let line = [&python, "-c", &LIAR.replace('\n', "\r")];
        let successor = fixture.reuser.take_by(server.pid, &python, &line);
        let outcome = paused.finish();
        let wanted = ["signalled -", "unreloaded vanished"];
        assert_eq!(said(&outcome), wanted, "{outcome}");
        fixture.cleaned(&successor, Successor::Unrelated, &point);
        fixture.reuser.free(successor.pid);
    });
}
