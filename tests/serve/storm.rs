//! A thousand signals during one reload.

use std::fs::OpenOptions;

use crate::site::Site;

#[test]
fn a_storm_of_signals_is_one_more_reload() {
    let site = Site::new();
    let pid = site.start();
    let gate = site.sandbox.path("gate.fifo");
    let gate = gate.to_str().expect("a path in UTF-8");
    site.must(&format!("mkfifo {gate}"));
    site.conf(&[("workers", "1"), ("gate", gate)]);
    site.must(&format!("kill -USR1 {pid}"));
    // Opening waits until a worker of the new generation stands at the gate.
    let open = || {
        OpenOptions::new()
            .write(true)
            .open(gate)
            .expect("a fifo can be opened")
    };
    let first = open();
    site.must(&format!(
        "i=0; while [ $i -lt 1000 ]; do kill -USR1 {pid} && kill -CHLD {pid} || exit; i=$((i + 1)); done"
    ));
    drop(first);
    site.until("the second generation answers", || {
        site.told("generation") != "1"
    });
    // One more follows.
    drop(open());
    site.until("the third generation answers", || {
        site.told("generation") == "3"
    });
    site.until("it is at rest", || site.is_at_rest());
    assert_eq!(site.pid(), pid);
    // If yet another one had been asked for, it would have its number, and stand at the gate.
    site.conf(&[("text", "after")]);
    site.must(&format!("swift-reload {pid}"));
    site.until("the last generation answers", || {
        site.told("text") == "after"
    });
    site.until("it is at rest", || site.is_at_rest());
    assert_eq!(site.told("generation"), "4");
}

/// Fails when a reload that was asked for again comes before the end that was asked for, too.
#[test]
fn a_storm_of_all_signals_ends_the_server() {
    for end in ["TERM", "HUP"] {
        let site = Site::new();
        let pid = site.start();
        let line = format!(
            "i=0; while kill -USR1 {pid} && kill -CHLD {pid}; do i=$((i + 1)); \
             [ $i -ne 500 ] || kill -{end} {pid}; done 2>/dev/null; true"
        );
        site.must(&line);
        site.must("swift-init hello-server start");
        assert_eq!(site.told("text"), "hello", "{end}");
        site.must("swift-init hello-server stop");
        assert_eq!(site.sh(crate::site::WORKERS).out(), "", "{end}");
    }
}
