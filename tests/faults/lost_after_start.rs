//! What was started is found again, in whatever way it runs by then; and what would not be is stopped
//! again, so that nothing runs of which no pid file tells.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use std::process::{Child, Stdio};

use test_helpers::{Outcome, Sandbox, finish, run};

use crate::failpoints::Points;

/// A server: it notes its pid, closes its output and waits, for five minutes at most.
const SERVER: &str = "import os, signal, sys
if '--test-config' in sys.argv: sys.exit(0)
signal.alarm(300)
os.chdir('/')
with open(BOOK, 'a') as book: print(os.getpid(), file=book, flush=True)
null = os.open('/dev/null', os.O_RDWR)
for fd in (0, 1, 2): os.dup2(null, fd)
while True: signal.pause()
";

/// Writes over the command line and the name, as setproctitle(3) does in short.
const TITLE: &str = "import ctypes
libc = ctypes.CDLL(None)
libc.prctl(15, b'title', 0, 0, 0)
begin = ctypes.c_void_p.in_dll(libc, 'program_invocation_name').value
line = open('/proc/self/cmdline', 'rb').read()
ctypes.memmove(begin, b'title'.ljust(len(line), b'\\0'), len(line))
";

struct Site(Sandbox);

impl Site {
    /// A site whose object server is this script, in a namespace of its own. `real/` has the server
    /// itself: as a script of the right name and of others, as a module and as a zip file.
    fn new(script: &str) -> Site {
        let sandbox = Sandbox::in_namespace();
        sandbox.conf("object-server.conf", "");
        let real = sandbox.path("real");
        fs::create_dir(&real).unwrap();
        let book = format!("BOOK = '{}'\n", sandbox.path("pids-seen").display());
        let server = format!("#!/usr/bin/env python3\n{book}{SERVER}");
        for name in ["swift-object-server", "other", "module.py", "__main__.py"] {
            write(&real.join(name), &server);
        }
        write(
            &real.join("title"),
            &server.replacen("import", &format!("{TITLE}import"), 1),
        );
        let zip = format!(
            "cd {} && python3 -m zipfile -c app.pyz __main__.py",
            real.display()
        );
        assert_eq!(run(sandbox.command("sh").args(["-c", &zip])).code(), 0);
        let script = script.replace("REAL", &real.display().to_string());
        write(
            &sandbox.path("bin/swift-object-server"),
            &script.replace("SERVER", &server),
        );
        Site(sandbox)
    }

    fn init(&self, command: &str) -> Outcome {
        let args = ["--run-dir=/run/swift", "object", command];
        run(self.0.command("swift-init").args(args))
    }

    /// What swift-pidfile says of the server, and what it leaves of the pid file.
    fn row(&self) -> Vec<String> {
        let line = "swift-resolve-servers --run-dir=/run/swift object | swift-pidfile --clean -q";
        let outcome = run(self.0.command("sh").args(["-c", line]));
        outcome.rows().remove(0).split_off(3)
    }

    /// Starts the server with swift-spawn, which stops at the points.
    fn spawn(&self, points: &Points, options: &str) -> Child {
        let line = format!(
            "swift-resolve-servers --run-dir=/run/swift object | swift-pidfile | swift-spawn {options}"
        );
        let mut command = self.0.command("sh");
        command.args(["-c", &line]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        points.apply(&mut command).spawn().expect("sh is there")
    }

    /// Waits until a server has begun.
    fn wait_for_one(&self) {
        let line = "until grep -q . \"$SEEN\" 2>/dev/null; do :; done";
        let mut command = self.0.command("sh");
        let seen = self.0.path("pids-seen");
        assert_eq!(run(command.args(["-c", line]).env("SEEN", seen)).code(), 0);
    }

    /// The pids of all that began and runs now.
    fn running(&self) -> Vec<String> {
        let seen = self.0.path("pids-seen");
        let line =
            "for p in $(cat \"$SEEN\"); do grep -q . /proc/$p/cmdline && echo $p; done 2>/dev/null";
        let mut command = self.0.command("sh");
        let outcome = run(command.args(["-c", line]).env("SEEN", seen));
        outcome.out().lines().map(str::to_owned).collect()
    }
}

fn write(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The ways of starting, each as the script that is installed as the server's program.
const FOUND: [(&str, &str); 14] = [
    ("itself", "SERVER"),
    (
        "-W ignore",
        "#!/bin/sh\nexec python3 -W ignore REAL/swift-object-server \"$@\"\n",
    ),
    (
        "-X dev",
        "#!/bin/sh\nexec env -i python3 -X dev REAL/swift-object-server \"$@\"\n",
    ),
    (
        "-m",
        "#!/bin/sh\nexec env -i python3 -m cProfile REAL/swift-object-server \"$@\"\n",
    ),
    (
        "option",
        "#!/bin/sh\nexec env -i python3 REAL/swift-object-server -v \"$@\"\n",
    ),
    (
        "relative",
        "#!/bin/sh\ncd /etc/swift\nexec env -i PWD=/etc/swift python3 REAL/swift-object-server object-server.conf\n",
    ),
    ("other name", "#!/bin/sh\nexec python3 REAL/other \"$@\"\n"),
    (
        "module",
        "#!/bin/sh\ncd REAL\nexec python3 -m module \"$@\"\n",
    ),
    (
        "code",
        "#!/bin/sh\nexec python3 -c 'exec(open(\"REAL/other\").read())' \"$@\"\n",
    ),
    ("zip", "#!/bin/sh\nexec python3 REAL/app.pyz \"$@\"\n"),
    ("title", "#!/bin/sh\nexec python3 REAL/title \"$@\"\n"),
    (
        "other config",
        "#!/bin/sh\nexec python3 REAL/swift-object-server /etc/hostname\n",
    ),
    (
        "two execs",
        "#!/bin/sh\nexec nice sh -c 'exec python3 REAL/other'\n",
    ),
    ("inner name", "#!/bin/sh\nexec python3 -u REAL/other once\n"),
];

/// Fails when an option's word is taken for the script, when a config has to follow at once, when the
/// tag is not written, and when it is not looked at.
#[test]
fn a_started_server_is_found_again() {
    for (name, script) in FOUND {
        let site = Site::new(script);
        let start = site.init("start");
        assert_eq!(
            (start.code(), start.err().as_str()),
            (0, ""),
            "{name}: {start}"
        );
        let running = site.running();
        assert_eq!(running.len(), 1, "{name}");
        let row = site.row();
        assert_eq!(
            (&row[0], &*row[2], &*row[3]),
            (&running[0], "running", "-"),
            "{name}"
        );
        let again = site.init("start");
        assert!(again.out().contains("running ("), "{name}: {again}");
        assert_eq!(site.running(), running, "{name}");
        let stop = site.init("stop");
        assert_eq!(stop.code(), 0, "{name}: {stop}");
        assert_eq!(site.running(), [""; 0], "{name}");
        assert_eq!(site.row()[2..], ["stopped", "absent"], "{name}");
    }
}

/// What hides, and what goes on elsewhere, with a word of what is said.
const STOPPED: [(&str, &str, &str); 5] = [
    (
        "hidden",
        "#!/bin/sh\nexec env -i python3 REAL/other \"$@\"\n",
        "neither its command line nor its environment",
    ),
    (
        "another config, hidden",
        "#!/bin/sh\nexec env -i python3 REAL/swift-object-server /etc/hostname\n",
        "it runs with another config, /etc/hostname",
    ),
    (
        "a session of its own, awaited",
        "#!/bin/sh\nexec setsid -w python3 REAL/swift-object-server \"$@\"\n",
        "it went on in another process, which its pid file does not name",
    ),
    (
        "a session of its own",
        "#!/bin/sh\nexec setsid -f python3 REAL/swift-object-server \"$@\"\n",
        "it went on in another process, which its pid file does not name",
    ),
    (
        "the background",
        "#!/bin/sh\npython3 REAL/swift-object-server \"$@\" &\nuntil grep -q . REAL/../pids-seen 2>/dev/null; do :; done\n",
        "it went on in another process, which its pid file does not name",
    ),
];

/// Fails when what was started is not looked at, when the wrapper that keeps the output open is awaited
/// for ever, and when any process is left.
#[test]
fn a_server_that_would_be_lost_is_stopped_again() {
    for (name, script, why) in STOPPED {
        let site = Site::new(script);
        let line =
            "swift-resolve-servers --run-dir=/run/swift object | swift-pidfile | swift-spawn";
        let outcome = run(site.0.command("sh").args(["-c", line]));
        let rows = outcome.rows();
        let last = rows.last().unwrap_or_else(|| panic!("{name}: {outcome}"));
        assert_eq!(
            (&*last[5], outcome.code()),
            ("failed", 1),
            "{name}: {outcome}"
        );
        assert!(
            last[6].starts_with(&format!("unproven {why}")),
            "{name}: {outcome}"
        );
        let err = outcome.err();
        let told = "swift-spawn: cannot start object-server (/etc/swift/object-server.conf): ";
        let lines: Vec<&str> = err.lines().filter(|line| line.starts_with(told)).collect();
        assert_eq!(lines.len(), 1, "{name}: {outcome}");
        assert!(
            lines[0].ends_with("; it was stopped again"),
            "{name}: {outcome}"
        );
        assert_eq!(site.running(), [""; 0], "{name}: {outcome}");
        assert_eq!(site.row()[2..], ["stopped", "absent"], "{name}");
        // The exit status reaches whoever started it with swift-init.
        assert_eq!(site.init("start").code(), 1, "{name}");
        assert_eq!(site.running(), [""; 0], "{name}");
    }
}

/// A server that forks twice: the first ends at once, and the second when it is told to.
const TWICE: &str = "#!/usr/bin/env python3
import os, sys
if os.fork(): os._exit(0)
os.setsid()
null = os.open('/dev/null', os.O_RDWR)
for fd in (0, 1, 2): os.dup2(null, fd)
open('REAL/go').read()
second = os.getpid()
if os.fork(): os._exit(0)
while os.getppid() == second: pass
os.execv('REAL/other', ['REAL/other', *sys.argv[1:]])
";

/// Fails when what ends after it was listed is taken for one that goes on nowhere: then swift-spawn says
/// finished, and the third runs on, unknown.
#[test]
fn a_fork_of_a_lost_server_is_stopped_too() {
    let site = Site::new(TWICE);
    let go = site.0.path("real/go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).expect("a fifo can be made");
    let points = Points::new(&site.0);
    let pause = points.pause_at("swift-spawn:listed");
    let child = site.spawn(&points, "-q");
    pause.reached();
    // Whoever waits at the fifo goes on when it has been opened and closed.
    drop(fs::File::options().write(true).open(&go).expect("it waits"));
    site.wait_for_one();
    drop(pause);
    let outcome = finish(child);
    let last = &outcome.rows()[1];
    assert_eq!((&*last[5], outcome.code()), ("failed", 1), "{outcome}");
    assert!(last[6].starts_with("unproven it went on"), "{outcome}");
    assert_eq!(site.running(), [""; 0], "{outcome}");
}

/// Fails when only the process that was started is ended, and not the server for which it waits.
#[test]
fn a_child_of_a_late_wrapper_is_stopped_too() {
    let site = Site::new("#!/bin/sh\npython3 REAL/other \"$@\"\n:\n");
    let points = Points::new(&site.0);
    let pause = points.pause_at("swift-spawn:not-ready");
    let child = site.spawn(&points, "-q --start-timeout=0.01");
    pause.reached();
    site.wait_for_one();
    drop(pause);
    let outcome = finish(child);
    assert_eq!(outcome.rows()[1][5..7], ["failed", "timeout"], "{outcome}");
    assert_eq!(site.running(), [""; 0], "{outcome}");
    assert_eq!(site.row()[2..], ["stopped", "absent"], "{outcome}");
}

/// A tag that swift-spawn itself has inherited is another row's.
#[test]
fn an_inherited_tag_is_replaced() {
    let site = Site::new("#!/bin/sh\nexec python3 REAL/other \"$@\"\n");
    let line = "swift-resolve-servers --run-dir=/run/swift object | swift-pidfile |
        SWIFT_PIDFILE=/run/swift/x.pid SWIFT_CONFIG=/x.conf SWIFT_RUN_DIR=/x swift-spawn -q &&
        tr '\\0' '\\n' < /proc/$(cat /run/swift/object-server.pid)/environ | grep ^SWIFT";
    let outcome = run(site.0.command("sh").args(["-c", line]));
    let wanted =
        "SWIFT_PIDFILE=/run/swift/object-server.pid\nSWIFT_CONFIG=/etc/swift/object-server.conf\n";
    assert!(
        outcome.out().ends_with(&format!("ready\t-\n{wanted}")),
        "{outcome}"
    );
}

/// A process that carries the tag and leads no session is a worker, and one that carries the tag of
/// another pid file is another server.
#[test]
fn a_tag_alone_is_no_proof() {
    let site = Site::new("SERVER");
    let tag = "SWIFT_CONFIG=/etc/swift/object-server.conf SWIFT_PIDFILE=/run/swift";
    for (line, state) in [
        (
            format!("env {tag}/object-server.pid setsid sleep 300 &"),
            "running",
        ),
        (
            format!("env {tag}/object-server.pid sleep 300 &"),
            "stopped",
        ),
        (format!("env {tag}/other.pid setsid sleep 300 &"), "stopped"),
        ("setsid sleep 300 &".to_owned(), "stopped"),
    ] {
        // It has executed when its command line is that of sleep.
        let line = format!(
            "{line} until grep -q ^sleep /proc/$!/cmdline 2>/dev/null; do :; done
            echo -n $! > /run/swift/object-server.pid"
        );
        let outcome = run(site.0.command("sh").args(["-c", &line]));
        assert_eq!(outcome.code(), 0, "{outcome}");
        assert_eq!(site.row()[2], state, "{line}");
    }
}
