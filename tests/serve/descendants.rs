//! What workers start and leave behind.

use std::process::Stdio;

use crate::site::{HELLO, Site};

/// A server whose workers run this line of shell first.
fn site(line: &str) -> Site {
    let site = Site::with("hello-server", HELLO);
    site.sandbox
        .script("worker", &format!("{line}\nexec http-worker \"$@\""));
    let program = site.sandbox.path("bin/worker");
    site.conf(&[("program", program.to_str().expect("a path in UTF-8"))]);
    site
}

/// Lists the processes whose command line has this, in a line of shell that does not list itself.
fn listed(site: &Site, what: &str) -> String {
    let (first, rest) = what.split_at(1);
    site.sh(&format!("grep -la '[{first}]{rest}' /proc/[0-9]*/cmdline"))
        .out()
}

/// Fails when only workers and this process's group are ended: one is in a session of its own, without
/// the environment of a worker, and takes no notice of SIGTERM.
#[test]
fn a_stop_leaves_none_of_them() {
    let site = site(
        "( setsid env -i /bin/sh -c 'trap \"\" TERM; sleep 4711; sleep 4711' >/dev/null 2>&1 & )\n\
         ( setsid sleep 4712 >/dev/null 2>&1 & ) & sh -c 'trap \"\" TERM; sleep 4713' >/dev/null 2>&1 &",
    );
    site.file(&format!("stop_timeout = 1\n{HELLO}"));
    site.start();
    site.until("all are there", || {
        ["4711", "4712", "4713"]
            .iter()
            .all(|one| !listed(&site, &format!("sleep.{one}")).is_empty())
    });
    site.must("swift-init hello-server stop");
    assert_eq!(listed(&site, "sleep.471"), "");
    assert_eq!(listed(&site, "http-worker"), "");
}

/// Fails when the manager reaps workers alone.
#[test]
fn process_1_reaps_them() {
    let site = site("( ( sleep 0 & ) & )");
    let mut command = site.sandbox.command("unshare");
    command.args([
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "swift-serve",
    ]);
    let file = site.program();
    command
        .arg(&file)
        .args(["/etc/swift/hello-server.conf", "verbose"]);
    let quiet = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut unshare = quiet.expect("unshare (util-linux) can be run");
    let is_ready = || site.sh("http-client get 127.0.0.1:8080 /").code() == 0;
    site.until("it serves", is_ready);
    // A zombie has no command line.
    site.until("all are reaped", || {
        site.must("cat /proc/[0-9]*/stat 2>/dev/null | grep -c ' Z ' || true")
            .out()
            .trim()
            == "0"
    });
    let manager = "grep -lx swift-serve /proc/[0-9]*/comm | cut -d / -f 3";
    site.must(&format!("kill -TERM $({manager})"));
    let status = unshare.wait().expect("it ends");
    assert!(status.success(), "{status}");
}
