//! A seamless reload, by rows and by a PID: SIGUSR1 kills who does not know it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::inotify;

use super::stage::{ALL, Stage, Who, pairs, python, row, said};
use crate::soak::times;

/// Fails when the process is looked at before it is opened, and when the signal is sent to a number
/// instead of through the pidfd.
#[test]
fn a_reload_of_who_went_reaches_nobody() {
    let points = [
        "process-opened",
        "looked-at",
        "bound",
        "checked",
        "proven",
        "signalled",
    ];
    let cases = pairs(&points, &ALL);
    Stage::rounds(times(30, 900), &cases, |stage, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = stage.server();
        let rows = row(&server, "running\t-");
        let at = format!("swift-reload:{point}");
        let paused = stage.up_to(&at, "swift-reload", &[], &rows);
        let thief = stage.swap(&server, who);
        let outcome = paused.finish();
        let wanted: &[&str] = match point {
            "signalled" => &["signalled -", "unreloaded vanished"],
            _ => &["unreloaded vanished"],
        };
        assert_eq!(said(&outcome), wanted, "{round}: {outcome}");
        assert_eq!(outcome.code(), 1, "{round}");
        stage.cleaned(&thief, who, &round);
        stage.unharmed(&thief, &round);
    });
}

/// Fails when the command line or the start is not compared with the row.
#[test]
fn no_reload_crosses_a_gap() {
    Stage::rounds(times(10, 500), &ALL, |stage, &who| {
        let round = format!("{who:?}");
        let server = stage.server();
        let seen = stage.run("swift-pidfile", &["--clean", "--running"], &stage.resolve());
        let thief = stage.swap(&server, who);
        let outcome = stage.run("swift-reload", &[], &seen.out());
        assert_eq!(
            said(&outcome),
            ["unreloaded vanished"],
            "{round}: {outcome}"
        );
        stage.cleaned(&thief, who, &round);
        stage.unharmed(&thief, &round);
    });
}

/// Of a PID as an argument nothing else is known, so it means who has it when the tool begins.
///
/// Fails like the rounds by rows.
#[test]
fn a_pid_means_who_had_it_in_the_beginning() {
    let points = [
        "pid-opened",
        "looked-at",
        "bound",
        "checked",
        "proven",
        "signalled",
    ];
    let cases = pairs(&points, &ALL);
    Stage::rounds(times(30, 600), &cases, |stage, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = stage.server();
        let pid = server.pid.to_string();
        let at = format!("swift-reload:{point}");
        let paused = stage.up_to(&at, "swift-reload", &[&pid], "");
        let thief = stage.swap(&server, who);
        let outcome = paused.finish();
        let is_server = matches!(who, Who::Other | Who::Again);
        let wanted = match point {
            "pid-opened" if !is_server => (
                format!("Non-swift process: '{}'\n", who.line().join(" ")),
                2,
            ),
            "pid-opened" | "looked-at" => {
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
        stage.unharmed(&thief, &round);
    });
}

/// A server that was called by a path like `bin/swift-object-server` checks its config in its own
/// folder, and not in that of who has its number by then, where another program may lie under that
/// name.
///
/// Fails when the folder is looked up after the process was proven: then the other one's program is
/// executed, with the rights of the reload.
#[test]
fn nothing_is_executed_in_the_folder_of_who_comes_after() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let folder = stage.sandbox.path("elsewhere");
    // The server itself is in the folder `/`.
    let own = stage.sandbox.path("bin/swift-object-server");
    let own = own.strip_prefix("/").expect("an absolute path").to_owned();
    let program = folder.join(&own);
    let parent = program.parent().expect("it lies in a folder");
    fs::create_dir_all(parent).expect("the sandbox can be written");
    fs::write(&program, "#!/bin/sh\n").expect("the sandbox can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    // Who executes a file opens it.
    let opened = inotify::init(inotify::CreateFlags::NONBLOCK).expect("there is inotify");
    inotify::add_watch(&opened, &program, inotify::WatchFlags::OPEN).expect("the file is there");
    let folder = folder.to_str().expect("a path in letters").to_owned();
    let thief = test_helpers::tools_dir().join("pid-thief");
    let thief = thief.to_str().expect("a path in letters").to_owned();
    stage.play(times(2, 100), &["bound"], |stage, point| {
        let own = own.to_str().expect("a path in letters");
        let line = [own, Who::Again.line()[1]];
        let server = stage.thief.start(0, &line);
        stage.write_pid_file(server.pid);
        let point = format!("swift-reload:{point}");
        let rows = row(&server, "running\t-");
        let paused = stage.up_to(&point, "swift-reload", &[], &rows);
        stage.thief.free(server.pid);
        let line = ["env", "-C", &folder, "PID_THIEF_PART=0", &thief];
        let thief = stage.thief.take_by(server.pid, "/usr/bin/env", &line);
        let outcome = paused.finish();
        let events = rustix::io::read(&opened, &mut [0; 4096]);
        assert_eq!(events, Err(rustix::io::Errno::AGAIN), "it was executed");
        assert_eq!(said(&outcome), ["unreloaded vanished"], "{outcome}");
        stage.cleaned(&thief, Who::Stranger, &point);
        stage.unharmed(&thief, &point);
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
fn what_is_seen_of_who_comes_after_is_no_reload() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let program = stage.sandbox.path("bin/swift-object-server");
    fs::remove_file(&program).expect("the sandbox is ours");
    fs::write(&program, format!("#!{}{SILENT}", python())).expect("the sandbox is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    stage.play(times(5, 200), &ALL, |stage, &who| {
        let round = format!("{who:?}");
        let server = stage.real_server();
        let rows = row(&server, "running\t-");
        let args = ["--no-check"];
        let paused = stage.up_to("swift-reload:answered", "swift-reload", &args, &rows);
        let thief = stage.swap(&server, who);
        let outcome = paused.finish();
        let wanted = ["signalled -", "unreloaded vanished"];
        assert_eq!(said(&outcome), wanted, "{round}: {outcome}");
        stage.cleaned(&thief, who, &round);
        stage.unharmed(&thief, &round);
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
fn who_comes_after_does_not_speak_for_the_server() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    stage.play(times(2, 50), &["signalled"], |stage, point| {
        let server = stage.server();
        let rows = row(&server, "running\t-");
        let point = format!("swift-reload:{point}");
        let paused = stage.up_to(&point, "swift-reload", &[], &rows);
        stage.thief.free(server.pid);
        let python = python();
        let line = [&python, "-c", &LIAR.replace('\n', "\r")];
        let thief = stage.thief.take_by(server.pid, &python, &line);
        let outcome = paused.finish();
        let wanted = ["signalled -", "unreloaded vanished"];
        assert_eq!(said(&outcome), wanted, "{outcome}");
        stage.cleaned(&thief, Who::Stranger, &point);
        stage.thief.free(thief.pid);
    });
}
