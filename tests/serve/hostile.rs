//! Workers and callers that do harm, and a system that has run out of something: the service goes on, and
//! the manager answers.

use std::fs;

use crate::site::{ADDRESS, Site};

const WORKER: &str = include_str!("hostile/worker.py");

/// A server whose workers do what their clients ask for, on this address.
fn hostile(address: &str) -> Site {
    let site = Site::with("hello-server", "");
    let worker = site.sandbox.path("worker.py");
    fs::write(&worker, WORKER).expect("the sandbox is ours");
    site.file(&format!(
        "listen = [\"{address}\"]\nworkers = 2\ncommand = [\"python3\", \"{}\"]\nreload_timeout = 240\n",
        worker.display()
    ));
    site.conf(&[]);
    site.start();
    site
}

fn answers(site: &Site, address: &str) -> bool {
    site.sh(&format!("http-client get '{address}' /")).code() == 0
}

/// Reloads, and waits until no old worker is left: it would be cut off in the middle of an answer, since these
/// workers finish nothing.
fn reload(site: &Site) {
    site.must(&format!("swift-reload {}", site.pid()));
    site.until("the old workers have ended", || site.is_at_rest());
}

/// A connection is refused between the shutdown and the mending, so the first ones may be.
#[test]
fn a_socket_that_a_worker_shuts_down_listens_again() {
    let site = hostile(ADDRESS);
    let pid = site.pid();
    for _ in 0..3 {
        site.get(ADDRESS, "/shutdown");
        site.until("the socket listens again", || answers(&site, ADDRESS));
    }
    reload(&site);
    site.get(ADDRESS, "/shutdown");
    site.until("that of the next generation does, too", || {
        answers(&site, ADDRESS)
    });
    assert_eq!(site.told("generation"), "2");
    assert_eq!(site.pid(), pid);
}

#[test]
fn a_unix_socket_that_a_worker_shuts_down_is_made_anew_by_a_reload() {
    let address = "unix:/run/swift/hello.sock";
    let site = hostile(address);
    site.get(address, "/shutdown");
    site.until("it refuses", || !answers(&site, address));
    reload(&site);
    assert!(answers(&site, address));
    site.must("swift-init hello-server stop");
    assert_eq!(site.sh("test -e /run/swift/hello.sock").code(), 1);
}

/// With a filter that drops all, clients wait for an answer for ever.
#[test]
fn a_reload_takes_off_what_a_worker_has_put_on_the_socket() {
    let site = hostile(ADDRESS);
    for change in ["/filter", "/backlog"] {
        site.get(ADDRESS, change);
        reload(&site);
        assert!(answers(&site, ADDRESS), "after {change}");
    }
}

#[test]
fn floods_of_workers_keep_the_manager_from_nothing() {
    let site = hostile(ADDRESS);
    let pid = site.pid();
    for flood in ["/flood", "/print"] {
        site.get(ADDRESS, flood);
    }
    // A crowd that asks for the status, and does not read it.
    let crowd = format!(
        "import socket\n\
         while True:\n    \
             one = socket.socket(socket.AF_UNIX)\n    \
             one.setblocking(False)\n    \
             try: one.connect('\\0swift-serve\\0{pid}')\n    \
             except OSError: pass\n"
    );
    let script = site.sandbox.path("crowd.py");
    fs::write(&script, crowd).expect("the sandbox is ours");
    site.must(&format!("python3 {} >/dev/null 2>&1 &", script.display()));
    reload(&site);
    assert_eq!(site.told("generation"), "2");
    site.until("the status is told", || site.status().code() == 0);
    site.must("swift-init hello-server stop");
}

/// Each limit lets a reload come a little further. Whatever fails is said, and the generation that serves
/// serves on, or the standby that is the manager then has it.
#[test]
fn a_reload_that_runs_out_of_descriptors_takes_nothing_down() {
    let site = Site::new();
    site.start();
    let open = |pid: &str| {
        let listed = site.must(&format!("ls /proc/{pid}/fd")).out();
        let numbers = listed.split_whitespace().map(|n| n.parse::<u32>());
        numbers.map(|n| n.expect("a number")).max().unwrap_or(0) + 1
    };
    let mut refused = 0;
    for more in 0..16 {
        let pid = site.pid();
        let limit = open(&pid) + more;
        site.must(&format!("prlimit --pid {pid} --nofile={limit}:4096"));
        let outcome = site.sh(&format!("swift-reload {pid}"));
        refused += i32::from(outcome.code() != 0);
        site.until("it is at rest", || {
            site.sh(&format!("prlimit --pid {} --nofile=1024:4096", site.pid()));
            site.is_at_rest()
        });
        assert_eq!(site.told("text"), "hello", "{more} more: {outcome}");
    }
    assert!(refused > 0, "no limit was too low");
    site.conf(&[("text", "after")]);
    site.must(&format!("swift-reload {}", site.pid()));
    site.until("a reload goes through", || site.told("text") == "after");
}

/// Fails when a client that finds no descriptor free is waited for in a loop.
#[test]
fn a_status_that_cannot_be_told_for_want_of_descriptors_is_told_later() {
    let site = Site::new();
    let pid = site.start();
    let processor_time = || {
        site.must(&format!("cut -d' ' -f14,15 /proc/{pid}/stat"))
            .out()
    };
    site.must(&format!("prlimit --pid {pid} --nofile=3:4096"));
    let outcome = site.status();
    assert_ne!(outcome.code(), 0, "{outcome}");
    assert!(
        outcome.err().contains("does not answer within"),
        "{outcome}"
    );
    // Nothing happens here, so nothing makes it run: each look takes a process's time.
    site.until("it waits", || {
        let before = processor_time();
        for _ in 0..20 {
            site.must("http-client get 127.0.0.1:8080 /");
        }
        processor_time() == before
    });
    site.must(&format!("prlimit --pid {pid} --nofile=1024:4096"));
    assert!(site.status().out().contains("serving"));
}

/// A manager that is stopped answers nobody, and its workers serve on.
#[test]
fn a_stopped_manager_is_told_by_its_silence() {
    let site = Site::new();
    let pid = site.start();
    site.must(&format!("kill -STOP {pid}"));
    let outcome = site.status();
    let why = format!("swift-serve: {pid} does not answer within 10 seconds\n");
    assert_eq!((outcome.code(), outcome.err()), (1, why));
    assert_eq!(site.told("text"), "hello");
    site.must(&format!("kill -CONT {pid}"));
    assert!(site.status().out().contains("serving"));
}

/// So many in `make test`, and with SWIFT_SOAK.
fn failures() -> usize {
    match std::env::var_os("SWIFT_SOAK") {
        Some(_) => 1000,
        None => 10,
    }
}

#[test]
fn reloads_that_fail_leave_nothing_behind() {
    let site = Site::new();
    let pid = site.start();
    let counts = || {
        site.until("it is at rest", || site.is_at_rest());
        let count = |line: &str| site.sh(line).out().trim().to_owned();
        let open = count(&format!("ls /proc/{pid}/fd | wc -l"));
        let children = count(&format!("cat /proc/{pid}/task/{pid}/children | wc -w"));
        let memory = count(&format!("awk '/^VmRSS/ {{print $2}}' /proc/{pid}/status"));
        (open, children, memory.parse::<u64>().expect("a number"))
    };
    let fail = |times: usize| {
        for _ in 0..times {
            // Refused by the check, and by a worker that does not start.
            for changes in [("workers", "0"), ("behaviour", "fail")] {
                site.conf(&[changes]);
                let outcome = site.sh(&format!("swift-reload --no-check {pid}"));
                assert_eq!(outcome.code(), 1, "{outcome}");
            }
        }
    };
    fail(2);
    let before = counts();
    fail(failures());
    let after = counts();
    crate::site::report(&format!(
        "{} failed reloads: descriptors, children, KiB: {before:?}, {after:?}",
        2 * failures()
    ));
    assert_eq!((&before.0, &before.1), (&after.0, &after.1));
    assert!(
        after.2 < before.2 + 256,
        "memory grows: {before:?}, {after:?}"
    );
    assert_eq!(site.pid(), pid);
}
