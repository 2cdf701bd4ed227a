//! The lines in the system's log, with a /dev/log of the test's own.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use test_helpers::{Outcome, Sandbox, run};

/// A directory over /dev that has what programs need, and a link to the log's socket.
const DEV: &str = "
cd \"$1\"
mkdir dev
mount -t tmpfs dev dev
for name in null zero full random urandom; do : >dev/$name; mount --bind /dev/$name dev/$name; done
ln -s /proc/self/fd dev/fd
ln -s \"$1/log\" dev/log
mount --rbind dev /dev
";

struct Site(Sandbox);

impl Site {
    /// Servers in namespaces where /dev/log leads to `log` in the sandbox; nothing is there yet.
    fn new(servers: &[&str]) -> Site {
        let sandbox = Sandbox::in_namespace();
        sandbox.install(servers);
        let here = sandbox.path("");
        let made = run(sandbox.command("sh").args(["-ec", DEV, "sh"]).arg(here));
        assert_eq!((made.code(), made.err().as_str()), (0, ""));
        Site(sandbox)
    }

    fn listen(&self) -> UnixDatagram {
        let socket = UnixDatagram::bind(self.0.path("log")).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn swift_init(&self, args: &[&str]) -> Command {
        let mut command = self.0.command("swift-init");
        command.args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Outcome {
        run(&mut self.swift_init(args))
    }
}

/// All lines that have come, with numbers of processes as N; a process that has ended sends no more.
fn lines(log: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 8192];
    let mut lines = Vec::new();
    while let Ok(length) = log.recv(&mut buffer) {
        lines.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    let numbered = |line: String| {
        let (head, rest) = line.split_once('[').unwrap();
        let (number, rest) = rest.split_once(']').unwrap();
        assert!(number.parse::<u32>().is_ok(), "{number}");
        let rest = match rest.rsplit_once("pid ") {
            Some((before, pid)) if pid.parse::<u32>().is_ok() => format!("{before}pid N"),
            _ => rest.to_owned(),
        };
        format!("{head}[N]{rest}")
    };
    lines.into_iter().map(numbered).collect()
}

fn me() -> String {
    let out = run(Command::new("id").arg("-un"));
    out.out().trim().to_owned()
}

#[test]
fn each_instance_has_a_line_with_who_what_and_how_it_ended() {
    let site = Site::new(&["object-server", "proxy-server"]);
    site.0.conf("object-server/1.conf", "");
    site.0.conf("object-server/2.conf", "exit = 3");
    let log = site.listen();
    let me = me();
    let conf = |name: &str| format!("object-server (/etc/swift/object-server/{name}.conf)");

    let mut start = site.swift_init(&["object", "start"]);
    assert_eq!(run(start.env("SUDO_USER", "alice")).code(), 1);
    let mut told = lines(&log);
    told.sort();
    assert_eq!(
        told,
        [
            format!(
                "<27>swift-init[N]: {me} (sudo: alice) start {}: failed: exit-3, pid N",
                conf("2")
            ),
            format!(
                "<29>swift-init[N]: {me} (sudo: alice) start {}: ready, pid N",
                conf("1")
            ),
        ]
    );
    // Nothing is done, and nothing told.
    for args in [
        ["object", "status"],
        ["object.1", "start"],
        ["proxy", "stop"],
    ] {
        site.run(&args);
        assert_eq!(lines(&log), [""; 0], "{args:?}");
    }
    for (command, state) in [("restart", "ready"), ("stop", "stopped")] {
        assert_eq!(site.run(&["object.1", command]).code(), 0);
        let line = format!(
            "<29>swift-init[N]: {me} {command} {}: {state}, pid N",
            conf("1")
        );
        assert_eq!(lines(&log), [line]);
    }
}

#[test]
fn a_refused_restart_is_told() {
    let site = Site::new(&["proxy-server"]);
    site.0.conf("proxy-server.conf", "");
    assert_eq!(site.run(&["proxy", "start"]).code(), 0);
    site.0.conf("proxy-server.conf", "check_exit = 1");
    let log = site.listen();
    assert_eq!(site.run(&["proxy", "restart"]).code(), 1);
    assert_eq!(
        lines(&log),
        [format!(
            "<27>swift-init[N]: {} restart proxy-server (/etc/swift/proxy-server.conf): \
             misconfigured: exit-1, pid N",
            me()
        )]
    );
}

#[test]
fn a_hostile_name_makes_no_second_line() {
    let site = Site::new(&["object-server"]);
    site.0.conf("object-server/a\n<27>b\x1b[2J.conf", "");
    let log = site.listen();
    let mut start = site.swift_init(&["object", "start"]);
    start.env("SUDO_USER", "x) stop y: ready\n<0>z");
    assert_eq!(run(&mut start).code(), 0);
    assert_eq!(
        lines(&log),
        [format!(
            "<29>swift-init[N]: {} (sudo: 'x) stop y: ready\\n<0>z') start object-server \
             (/etc/swift/object-server/a\\n<27>b\\x1b[2J.conf): ready, pid N",
            me()
        )]
    );
}

#[test]
fn more_lines_than_the_logs_queue_holds_arrive() {
    let site = Site::new(&["object-server"]);
    for number in 0..40 {
        site.0.conf(&format!("object-server/{number}.conf"), "");
    }
    let log = site.listen();
    log.set_nonblocking(false).unwrap();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        (0..40).map(|_| log.recv(&mut buffer).unwrap()).count()
    });
    assert_eq!(site.run(&["object", "start"]).code(), 0);
    assert_eq!(reader.join().unwrap(), 40);
}

#[test]
fn a_log_that_is_not_read_holds_nothing_up() {
    let site = Site::new(&["object-server"]);
    site.0.conf("object-server.conf", "");
    let log = site.listen();
    let stuffing = UnixDatagram::unbound().unwrap();
    stuffing.connect(site.0.path("log")).unwrap();
    stuffing.set_nonblocking(true).unwrap();
    while stuffing.send(b"full").is_ok() {}
    for (command, code) in [("start", 0), ("restart", 0), ("stop", 0)] {
        let done = site.run(&["object", command]);
        assert_eq!((done.code(), done.err().as_str()), (code, ""), "{command}");
    }
    drop(log);
}

#[test]
fn a_log_that_is_not_there_or_switched_off_is_no_error() {
    let site = Site::new(&["object-server"]);
    site.0.conf("object-server.conf", "");
    assert_eq!(site.run(&["object", "start"]).err(), "");
    let log = site.listen();
    std::fs::write(
        site.0.path("etc/swift-init.toml"),
        "[defaults]\nlog = false\n",
    )
    .unwrap();
    assert_eq!(site.run(&["object", "stop"]).err(), "");
    assert_eq!(lines(&log), [""; 0]);
    // A daemon that has ended leaves its socket behind.
    drop(log);
    std::fs::remove_file(site.0.path("etc/swift-init.toml")).unwrap();
    let done = site.run(&["object", "start"]);
    assert_eq!((done.code(), done.err().as_str()), (0, ""));
    // As on a machine whose log is elsewhere.
    std::fs::remove_file(site.0.path("log")).unwrap();
    symlink("/nowhere", site.0.path("log")).unwrap();
    let done = site.run(&["object", "stop"]);
    assert_eq!((done.code(), done.err().as_str()), (0, ""));
}
