//! Swift's own swift-reload, from PyPI, on a server that has the name of one of Swift's.

use std::fs;

use test_helpers::{lab, tools_dir};

use crate::site::{ADDRESS, HELLO, Site};

#[test]
fn swifts_own_swift_reload_works_on_it() {
    let venv = lab::venv(lab::NEWEST);
    let venv = venv.display();
    let site = Site::with("proxy-server", HELLO);
    site.conf(&[]);
    // As when it is installed: the original wants just one word with /bin/ in it, so the interpreter
    // must not be another one.
    let installed = site.sandbox.path("bin/swift-serve");
    fs::copy(tools_dir().join("swift-serve"), &installed).expect("the sandbox is ours");
    let file = format!("#!{}\n{HELLO}", installed.display());
    fs::write(site.program(), file).expect("the sandbox is ours");
    let pid = site.start();
    let load = site.load(ADDRESS, 4, 4);
    let outcome = site.sh(&format!("{venv}/bin/swift-reload -v {pid}"));
    assert_eq!(outcome.code(), 0, "{outcome}");
    assert!(outcome.out().contains("Process is RELOADING"), "{outcome}");
    assert!(
        outcome.out().contains("Reloaded swift-proxy-server"),
        "{outcome}"
    );
    load.end().all_answered();
    assert_eq!(site.told("generation"), "2");
    assert_eq!(site.pid(), pid);

    site.conf(&[("bind_port", "nonsense")]);
    let outcome = site.sh(&format!("{venv}/bin/swift-reload {pid}"));
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(
        outcome.err().contains("Failed to validate config"),
        "{outcome}"
    );
    assert_eq!(site.told("generation"), "2");
}
