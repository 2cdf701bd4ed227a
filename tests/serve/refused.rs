//! Reloads that must fail: the old generation answers through them, and swift-reload says why.

use crate::site::{ADDRESS, Site};

/// Changes the site so that a reload must fail, and swift-reload has to name `why`.
fn fails(break_it: impl FnOnce(&Site), why: &str) {
    let site = Site::new();
    let pid = site.start();
    let load = site.load(ADDRESS, 4, 4);
    break_it(&site);
    // Without the check the server itself has to notice.
    for check in ["", "--no-check"] {
        let outcome = site.sh(&format!("swift-reload {check} {pid}"));
        assert_eq!(outcome.code(), 1, "swift-reload {check}: {outcome}");
        assert!(
            outcome.err().contains(why),
            "swift-reload {check}: {outcome}"
        );
        assert_eq!(site.told("text"), "hello");
        assert_eq!(site.told("generation"), "1");
    }
    let counts = load.end();
    crate::site::report(counts.line.trim());
    counts.all_answered();
    site.until("it is at rest again", || site.is_at_rest());
    assert_eq!(site.pid(), pid, "the manager is still the same");
    // What is mended is reloaded.
    site.file(crate::site::HELLO);
    site.conf(&[("text", "mended")]);
    site.must(&format!("swift-reload {pid}"));
    site.until("the new ones answer", || site.told("text") == "mended");
}

#[test]
fn a_bad_config() {
    fails(|site| site.conf(&[("bind_port", "nonsense")]), "nonsense");
}

#[test]
fn a_file_with_an_unknown_key() {
    fails(
        |site| site.file(&format!("{}nonsense = 1\n", crate::site::HELLO)),
        "nonsense",
    );
}

#[test]
fn a_worker_that_exits() {
    fails(
        |site| site.conf(&[("behaviour", "fail"), ("text", "bad")]),
        "exit",
    );
}

#[test]
fn a_worker_that_never_gets_ready() {
    let file = crate::site::HELLO.replace("reload_timeout = 240", "reload_timeout = 1");
    fails(
        |site| {
            site.file(&file);
            site.conf(&[("behaviour", "hang"), ("text", "bad")]);
        },
        "ready",
    );
}

#[test]
fn a_program_that_is_gone() {
    fails(
        |site| site.conf(&[("program", "/gone/worker"), ("text", "bad")]),
        "/gone/worker",
    );
}

#[test]
fn an_address_in_use() {
    let file = crate::site::HELLO.replace("bind_timeout = 10", "bind_timeout = 1");
    fails(
        |site| {
            // Another server like this one.
            site.must(&format!(
                "sed 's/{{bind_port}}/8089/' {0} > bin/other && chmod +x bin/other && \
                 bin/other /etc/swift/hello-server.conf > other.out 2>&1 &",
                site.program().display()
            ));
            site.until("the other one answers", || {
                site.sh("http-client get 127.0.0.1:8089 /").code() == 0
            });
            site.file(&file);
            site.conf(&[("bind_port", "8089"), ("text", "bad")]);
        },
        "8089",
    );
}

/// Fails when they are opened as regular files are: the reload waits for a writer.
#[test]
fn a_config_or_a_file_that_is_a_fifo() {
    let site = Site::new();
    let pid = site.start();
    let config = "/etc/swift/hello-server.conf".to_owned();
    let file = site.program().display().to_string();
    for path in [&config, &file] {
        site.must(&format!("mv {path} kept; mkfifo -m 755 {path}"));
        for check in ["", "--no-check"] {
            let outcome = site.sh(&format!("timeout 120 swift-reload {check} {pid}"));
            // swift-reload executes the file for its check.
            let is_executed = path == &file && check.is_empty();
            let why = if is_executed {
                "Permission denied"
            } else {
                "a fifo"
            };
            assert_eq!(outcome.code(), 1, "{path}: {outcome}");
            assert!(outcome.err().contains(why), "{path}: {outcome}");
            assert_eq!(site.told("generation"), "1");
        }
        let started = format!("timeout -s KILL 60 swift-serve {path} {path}");
        let outcome = site.sh(&started);
        let line = format!("swift-serve: cannot read {path}: a fifo\n");
        assert_eq!((outcome.code(), outcome.err()), (1, line));
        site.must(&format!("mv kept {path}"));
    }
    site.must(&format!("swift-reload {pid}"));
}
