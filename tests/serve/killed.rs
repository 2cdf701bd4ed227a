//! A manager that was killed: its workers serve on, and its standby takes over, or else the next start,
//! which takes their sockets and lets them finish.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use test_helpers::Counts;

use crate::graceful::Slow;
use crate::site::{ADDRESS, HELLO, Site, WORKERS, report};

/// The rows of the status whose kind is this.
fn rows(site: &Site, kind: &str) -> Vec<Vec<String>> {
    let rows = site.status().rows().into_iter();
    rows.filter(|row| row.get(1).is_some_and(|one| one == kind))
        .collect()
}

fn kill(site: &Site) {
    let pid = site.pid();
    site.must(&format!("kill -KILL {pid}"));
    site.until("the manager is dead", || {
        site.sh(&format!("grep -qs '^State:[^ZX]*$' /proc/{pid}/status"))
            .code()
            != 0
    });
}

fn lost(counts: &Counts) -> u64 {
    report(counts.line.trim());
    counts.lost() + counts.raced
}

/// Fails when the start binds the addresses anew, which it can only once the old workers have left.
#[test]
fn a_start_takes_the_sockets_of_a_killed_managers_workers() {
    let site = Site::new();
    site.start();
    let load = site.load(ADDRESS, 4, 4);
    for generation in 2..5 {
        kill(&site);
        site.start();
        let generation = generation.to_string();
        site.until("the new workers answer", || {
            site.told("generation") == generation
        });
        site.until("the orphaned workers have left", || site.is_at_rest());
        assert_eq!(rows(&site, "worker").len(), 2);
    }
    // What was taken over is a server like any other.
    site.must("swift-init hello-server reload-seamless");
    site.until("it is at rest", || site.is_at_rest());
    assert_eq!(lost(&load.end()), 0);
    site.must("swift-init hello-server stop");
    assert_eq!(site.sh(WORKERS).out(), "");
}

/// Fails when orphaned workers are killed, or told to finish twice.
#[test]
fn an_orphaned_worker_finishes_its_request() {
    let site = Site::new();
    site.start();
    let slow = Slow::begin(&site);
    kill(&site);
    site.start();
    site.until("only the busy one is left", || {
        rows(&site, "worker").len() == 3
    });
    // The next start finds a worker that has closed its sockets, and finishes.
    let standby = rows(&site, "standby").remove(0).remove(2);
    site.must(&format!("kill -KILL {standby}"));
    kill(&site);
    site.start();
    slow.finish();
    site.until("it has left", || rows(&site, "worker").len() == 2);
    assert_eq!(site.told("generation"), "3");
}

/// Fails when only workers are found whose addresses are in the way.
#[test]
fn orphaned_workers_leave_though_the_addresses_are_others() {
    let site = Site::with(
        "hello-server",
        "listen = [\"127.0.0.1:{bind_port}\", \"unix:{socket}\"]\ncommand = [\"{program}\"]\n",
    );
    let socket = site.sandbox.path("hello.sock");
    let socket = socket.to_str().expect("a path in UTF-8");
    let path = format!("unix:{socket}");
    site.conf(&[("socket", socket)]);
    site.start();
    let load = site.load(&path, 4, 4);
    let inode = || site.must(&format!("stat -c %i {socket}")).out();
    let before = inode();
    kill(&site);
    site.conf(&[("socket", socket), ("bind_port", "8081")]);
    site.start();
    assert!(site.get("127.0.0.1:8081", "/").contains("generation=2"));
    site.until("the old worker has left", || {
        site.sh(&format!("http-client get {ADDRESS} /"))
            .err()
            .contains("ConnectionRefused")
    });
    assert_eq!(lost(&load.end()), 0);
    assert_eq!(inode(), before);
    site.until("it is at rest", || site.is_at_rest());
    // Of a path that was removed there is nothing to be taken.
    kill(&site);
    fs::remove_file(socket).expect("it is there");
    site.start();
    assert!(site.get(&path, "/").contains("generation=3"));
}

/// Fails when a failed start ends workers that it did not start, or removes the path of their socket.
#[test]
fn orphaned_workers_serve_on_when_a_start_fails() {
    let site = Site::with(
        "hello-server",
        &HELLO.replace("listen  = [", "listen = [\"unix:{socket}\", "),
    );
    let socket = site.sandbox.path("hello.sock");
    let socket = socket.to_str().expect("a path in UTF-8");
    site.conf(&[("socket", socket)]);
    site.start();
    let load = site.load(&format!("unix:{socket}"), 2, 2);
    kill(&site);
    site.conf(&[("socket", socket), ("behaviour", "fail")]);
    assert_eq!(site.sh("swift-init hello-server start").code(), 1);
    assert_eq!(site.told("generation"), "1");
    site.conf(&[("socket", socket), ("text", "mended")]);
    site.start();
    site.until("the new workers answer", || site.told("text") == "mended");
    assert_eq!(lost(&load.end()), 0);
}

/// Without the right to trace them, as where kernel.yama.ptrace_scope is 1 and the manager is not root, the
/// sockets cannot be had.
#[test]
fn without_pidfd_getfd_orphaned_workers_make_room() {
    let mut site = Site::new();
    site.sandbox
        .refuse(nix::libc::SYS_pidfd_getfd, nix::libc::EPERM);
    site.start();
    kill(&site);
    site.start();
    site.until("the new workers answer", || site.told("generation") == "2");
    site.until("the orphaned workers have left", || {
        rows(&site, "worker").len() == 2
    });
}

/// Fails when the workers of a manager that lives are taken for orphaned ones, because its command line is
/// another or because it does not answer.
#[test]
fn a_live_managers_workers_are_its_own() {
    let site = Site::with(
        "hello-server",
        &HELLO.replace("bind_timeout = 10", "bind_timeout = 1"),
    );
    site.conf(&[]);
    let pid = site.start();
    let conf = "/etc/swift/hello-server.conf";
    let program = site.program();
    let again = format!("swift-serve {} {conf} verbose", program.display());
    for signal in ["CONT", "STOP"] {
        site.must(&format!("kill -{signal} {pid}"));
        let outcome = site.sh(&again);
        assert_eq!(outcome.code(), 1, "{outcome}");
        assert!(outcome.err().contains("cannot listen on"), "{outcome}");
    }
    site.must(&format!("kill -CONT {pid}"));
    assert_eq!(rows(&site, "worker").len(), 2);
    assert_eq!(site.told("generation"), "1");
}

/// Fails when the standby ends at the verdict, and when it knows only the workers that were there at its
/// beginning.
#[test]
fn a_standby_is_there_until_the_last_old_worker_has_left() {
    let site = Site::new();
    site.start();
    let slow = Slow::begin(&site);
    let load = site.load(ADDRESS, 4, 4);
    site.conf(&[("text", "new")]);
    site.must("swift-init hello-server reload-seamless");
    assert_eq!(load.end().lost(), 0);
    let worker = site.told("pid");
    let standby = rows(&site, "standby");
    assert_eq!(standby.len(), 1, "{standby:?}");
    site.must(&format!("kill -KILL {worker}"));
    let ready = |row: &&Vec<String>| row[4] == "ready";
    site.until("it is replaced", || {
        let workers = rows(&site, "worker");
        workers.iter().filter(ready).count() == 2 && !workers.iter().any(|row| row[2] == worker)
    });
    let load = site.load(ADDRESS, 4, 4);
    kill(&site);
    let standby = &standby[0][2];
    site.until("the standby is the manager", || site.pid() == *standby);
    site.until("it has all workers", || {
        let workers = rows(&site, "worker");
        workers.len() == 3 && workers.iter().filter(ready).count() == 2
    });
    slow.finish();
    site.until("the old worker has left", || {
        rows(&site, "worker").len() == 2
    });
    assert_eq!(site.told("text"), "new");
    site.must("swift-init hello-server reload-seamless");
    site.until("it is at rest", || site.is_at_rest());
    assert_eq!(lost(&load.end()), 0);
    assert_eq!(&site.pid(), standby);
    site.must("swift-init hello-server stop");
    assert_eq!(site.sh(WORKERS).out(), "");
}

/// Kills at random moments, while nothing goes on and in reloads. After each there is a manager, the standby
/// or that of the next start.
#[test]
fn kills_at_random_moments_refuse_no_client() {
    let site = Site::new();
    site.start();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let given = std::env::var("KILLS_SEED").ok();
    let seed = given.and_then(|seed| seed.parse().ok());
    let mut random = seed.unwrap_or_else(|| since.expect("after 1970").as_micros() as u64 | 1);
    report(&format!("KILLS_SEED={random}"));
    let load = site.load(ADDRESS, 4, 4);
    let kills = std::env::var_os("SWIFT_SOAK").map_or(10, |_| 100);
    let mut longest = Duration::ZERO;
    for round in 0..kills {
        let pid = site.pid();
        if round % 3 > 0 {
            site.must(&format!("kill -USR1 {pid}"));
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(Duration::from_millis(random % 300));
        site.must(&format!("kill -KILL {pid}"));
        let begun = Instant::now();
        site.sh("swift-init hello-server start");
        site.until("there is a manager", || {
            let now = site.pid();
            now != pid && site.status().code() == 0
        });
        longest = longest.max(begun.elapsed());
    }
    site.until("it is at rest", || site.is_at_rest());
    assert_eq!(lost(&load.end()), 0);
    report(&format!("{kills} kills: a manager within {longest:.1?}"));
    site.must("swift-init hello-server stop");
    assert_eq!(site.sh(WORKERS).out(), "");
}
