//! Workers that report readiness too early, or never show it: the old generation serves on.

use std::time::{Duration, Instant};

use test_helpers::lab;

use crate::site::{ADDRESS, HELLO, Site};

/// Has a reload fail with a file, for this reason, while clients are answered.
fn refused(file: &str, why: &str) {
    let site = Site::new();
    let pid = site.start();
    let load = site.load(ADDRESS, 2, 2);
    site.file(file);
    let outcome = site.sh(&format!("swift-reload {pid}"));
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(outcome.err().contains(why), "{outcome}");
    assert_eq!(site.told("generation"), "1");
    load.end().all_answered();
    site.until("it is at rest again", || site.is_at_rest());
}

#[test]
fn a_report_that_does_not_hold_is_refused() {
    refused(
        "listen = [\"{bind_ip}:{bind_port}\"]\nready = \"newline\"\nreload_timeout = 240\n\
         settle = 200\ncommand = [\"sh\", \"-c\", \"eval \\\"echo >&$READY_FD\\\"; sleep 0.1; exit 7\"]\n",
        "exited with status 7 before all were ready",
    );
}

#[test]
fn a_worker_that_only_executes_is_refused_when_it_exits() {
    refused(
        "listen = [\"{bind_ip}:{bind_port}\"]\nready = \"exec\"\nreload_timeout = 240\n\
         command = [\"sh\", \"-c\", \"exit 7\"]\n",
        "exited with status 7 before all were ready",
    );
}

/// gunicorn reports readiness before it has loaded the application.
#[test]
fn gunicorn_that_cannot_load_its_application_is_refused() {
    let gunicorn = lab::venv(lab::NEWEST).join("bin/gunicorn");
    refused(
        &format!(
            "listen = [\"{{bind_ip}}:{{bind_port}}\"]\nreload_timeout = 240\nsettle = 200\n\
             command = [\"{}\", \"--worker-tmp-dir\", \"/dev/shm\", \"no_such_module:app\"]\n",
            gunicorn.display()
        ),
        "exited with status 3 before all were ready",
    );
}

#[test]
fn a_worker_that_is_never_seen_to_accept_is_refused() {
    let file = HELLO.replace(
        "reload_timeout = 240",
        "reload_timeout = 1\nready = \"accept\"",
    );
    let file = file.replace("{behaviour}", "hang");
    let why = format!(
        "it is not seen to wait for connections on {ADDRESS}: no thread of it waits for connections"
    );
    refused(&file, &why);
}

/// As Go and tokio take a socket: it says nothing of whether they accept.
#[test]
fn an_edge_triggered_socket_is_no_proof() {
    let python = lab::venv(lab::NEWEST).join("bin/python3");
    let script = "import select; e = select.epoll(); e.register(3, select.EPOLLIN | select.EPOLLET); \
                  [e.poll() for _ in iter(int, 1)]";
    let file = format!(
        "listen = [\"{{bind_ip}}:{{bind_port}}\"]\nready = \"accept\"\nreload_timeout = 8\n\
         graceful = \"KILL\"\ncommand = [\"{}\", \"-c\", \"{script}\"]\n",
        python.display()
    );
    refused(&file, &format!("it awaits {ADDRESS} edge-triggered"));
}

/// What never shows is no reason to start for ever.
#[test]
fn a_first_start_that_never_accepts_fails() {
    let file = HELLO.replace(
        "reload_timeout = 240",
        "reload_timeout = 1\nready = \"accept\"",
    );
    let site = Site::with("hello-server", &file);
    site.conf(&[("behaviour", "hang")]);
    let outcome = site.sh("swift-init hello-server start");
    assert_eq!(outcome.code(), 1, "{outcome}");
    let said = format!("{}{}", outcome.out(), outcome.err());
    assert!(
        said.contains("no thread of it waits for connections"),
        "{said}"
    );
}

#[test]
fn a_generation_settles_before_the_old_one_leaves() {
    let site = Site::new();
    let pid = site.start();
    let settle = Duration::from_secs(2);
    site.file(&HELLO.replace("reload_timeout", "settle = 2\nreload_timeout"));
    let load = site.load(ADDRESS, 2, 2);
    let begun = Instant::now();
    site.must(&format!(
        "swift-reload {pid} >reload.out 2>&1 & echo $! >reload.pid"
    ));
    site.until("the new workers settle", || {
        let rows = site.status().rows();
        let is = |row: &Vec<String>| row[0] == "2" && row[1] == "worker" && row[4] == "settling";
        rows.iter().filter(|row| is(row)).count() == 2
    });
    site.until("the reload has ended", || {
        site.sh("kill -0 $(cat reload.pid)").code() != 0
    });
    assert!(begun.elapsed() >= settle, "{:?}", begun.elapsed());
    site.until("the old workers have left", || {
        site.is_at_rest() && site.told("generation") == "2"
    });
    load.end().all_answered();
}

/// The replacement of a worker that died has to be seen like every other one.
#[test]
fn a_replacement_is_ready_when_it_is_seen_to_accept() {
    let file = HELLO.replace("\"notify\"", "\"silent\"");
    let site = Site::with("hello-server", &format!("ready = \"accept\"\n{file}"));
    site.conf(&[("workers", "1")]);
    site.start();
    let first = site.told("pid");
    site.sh(&format!("http-client get {ADDRESS} /die"));
    site.until("another worker is ready", || {
        let rows = site.status().rows();
        let is = |row: &Vec<String>| row[1] == "worker" && row[2] != first && row[4] == "ready";
        rows.iter().any(is)
    });
}
