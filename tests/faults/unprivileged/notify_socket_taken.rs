//! Another user has the socket on which a server speaks, and never lets go of it.

use test_helpers::{Outcome, Sandbox};

use super::{OWNER, fixture};
use crate::assertions::{must, sh};

/// Neither root nor the user of the server.
const THIRD: u32 = 65531;

/// A server that executes itself anew on SIGUSR1 and is seen to, since it has a handler.
const SERVER: &str = "
import os, signal, sys
if '--test-config' in sys.argv: sys.exit()
signal.signal(signal.SIGUSR1, lambda *_: os.execv(sys.argv[0], sys.argv))
signal.pthread_sigmask(signal.SIG_SETMASK, [])
if os.getsid(0) != os.getpid():
    os.setsid()
    open('run/object-server/1.pid', 'w').write(str(os.getpid()))
    os.setuid(int(os.environ['ITS_USER']))
    open('up', 'w').close()
while True: signal.pause()
";

/// Binds the name of that process, as that user.
const HOLDER: &str = "
import os, signal, socket, sys
os.setuid(int(sys.argv[2]))
held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
held.bind('\\0swift-notifications\\0' + sys.argv[1])
if sys.argv[3] == 'queued':
    one, other = socket.socketpair()
    socket.send_fds(one, [b'x'], [held.fileno()])
    held.close()
open('bound', 'w').close()
signal.pause()
";

/// A server of one user, whose socket another one holds. Gives the pid of the server and of the holder.
fn held(sandbox: &Sandbox, server: u32, holder: u32, how: &str) -> (String, String) {
    sandbox.script("holder", HOLDER);
    sandbox.script("swift-object-server", SERVER);
    let line = format!(
        "rm -f up bound; mkfifo -m 666 up bound; mkdir -p run/object-server
         for name in holder swift-object-server; do
             sed -i \"1s|.*|#!$(command -v python3)|\" bin/$name
         done
         ITS_USER={server} $PWD/bin/swift-object-server /etc/swift/object-server/1.conf >/dev/null 2>&1 &
         pid=$!; : <up
         $PWD/bin/holder $pid {holder} {how} >/dev/null 2>&1 &
         : <bound; echo $pid $!"
    );
    let out = must(sandbox, &line);
    let mut pids = out.split_ascii_whitespace().map(str::to_owned);
    let mut next = || pids.next().expect("two pids");
    (next(), next())
}

fn released(sandbox: &Sandbox, pids: (String, String)) {
    must(sandbox, &format!("kill -9 {} {}", pids.0, pids.1));
}

fn reload(sandbox: &Sandbox, pid: &str) -> Outcome {
    sh(sandbox, &format!("swift-reload {pid}"))
}

/// Fails when a user who could do nothing to a server can keep it from being reloaded. The socket of one
/// who has put it into a queue has no process, but a user all the same.
#[test]
fn another_user_does_not_forbid_a_reload() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "rm etc/object-server/2.conf");
    for how in ["open", "queued"] {
        let (pid, holder) = held(&sandbox, 0, THIRD, how);
        let who = match how {
            "open" => format!("{holder} (python3) of uid {THIRD}"),
            _ => format!("a hidden process of uid {THIRD}"),
        };
        let told = format!(
            "reloading {pid} (object-server) without its notifications: its socket is held by {who}\n"
        );
        let stack = format!("cut -d ' ' -f 28 /proc/{pid}/stat");
        let before = must(&sandbox, &stack);
        let outcome = reload(&sandbox, &pid);
        assert_eq!(outcome.err(), format!("swift-reload: {told}"), "{outcome}");
        assert_eq!(outcome.out(), "Reloaded swift-object-server\n", "{outcome}");
        let after = must(&sandbox, &stack);
        assert_ne!(before, after, "it has executed itself anew");
        let outcome = sh(&sandbox, "swift-init object reload-seamless");
        assert_eq!(outcome.code(), 0, "{outcome}");
        assert!(outcome.err().contains(&told), "{outcome}");
        assert_ne!(must(&sandbox, &stack), after, "{how}");
        released(&sandbox, (pid, holder));
    }
}

/// Fails when one who may be reloading the server is passed over.
#[test]
fn another_reload_is_not_waited_for() {
    let Some(sandbox) = fixture() else { return };
    for (server, user) in [(0, 0), (OWNER, OWNER), (OWNER, 0)] {
        let (pid, holder) = held(&sandbox, server, user, "open");
        let outcome = reload(&sandbox, &pid);
        let told = format!(
            "Could not bind notification socket: [Errno 98] Address already in use \
             (held by {holder} (python3))\n"
        );
        assert_eq!((outcome.err(), outcome.code()), (told, 1), "{user}");
        released(&sandbox, (pid, holder));
    }
}

/// Fails when a reload whose end could not be seen is begun: the servers of these tests have no handler,
/// but a descriptor for signals.
#[test]
fn a_reload_that_cannot_be_seen_is_not_begun() {
    let Some(sandbox) = fixture() else { return };
    must(&sandbox, "swift-init object.1 start");
    let pid = must(&sandbox, "cat run/object-server/1.pid");
    sandbox.script("holder", HOLDER);
    let line = format!(
        "mkfifo -m 666 bound; python3 bin/holder {pid} {THIRD} open >/dev/null 2>&1 & : <bound; echo $!"
    );
    let holder = must(&sandbox, &line);
    let outcome = reload(&sandbox, &pid);
    let told = format!(
        "Could not bind notification socket: [Errno 98] Address already in use \
         (held by {} (python3) of uid {THIRD})\n",
        holder.trim()
    );
    assert!(outcome.err().ends_with(&told), "{outcome}");
    assert_eq!(outcome.code(), 1);
    let holder = holder.trim();
    must(
        &sandbox,
        &format!("kill {holder}; while kill -0 {holder} 2>/dev/null; do sleep 0.02; done"),
    );
    let outcome = reload(&sandbox, &pid);
    assert_eq!(outcome.code(), 0, "{outcome}");
}
