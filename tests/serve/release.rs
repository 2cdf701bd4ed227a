//! A directory that leads to another release by the next reload.

use std::fs;
use std::os::unix::fs::symlink;

use crate::site::{ADDRESS, Site};

/// Fails when the directory is resolved once, when the manager starts. The old workers and their
/// replacements stay in the old release until the new ones are ready.
#[test]
fn a_reload_enters_the_directory_by_its_name() {
    let site = Site::with(
        "hello-server",
        "listen = [\"127.0.0.1:8080\"]\ncommand = [\"./app\", \"notify\", \"{text}\"]\n",
    );
    for release in ["1", "2"] {
        let name = format!("app/{release}/app");
        fs::create_dir_all(site.sandbox.path(&name).parent().unwrap()).unwrap();
        site.sandbox.script(
            "app",
            &format!("[ $2 = text=bad ] && exit 7; exec http-worker text=release-{release}"),
        );
        fs::rename(site.sandbox.path("bin/app"), site.sandbox.path(&name)).unwrap();
    }
    let current = site.sandbox.path("app/current");
    let lead_to = |release: &str| {
        let next = site.sandbox.path("app/next");
        symlink(release, &next).unwrap();
        fs::rename(next, &current).unwrap();
    };
    lead_to("1");
    site.conf(&[]);
    site.must(&format!(
        "cd {} && swift-init hello-server start",
        current.display()
    ));
    let pid = site.pid();
    assert_eq!(site.told("text"), "release-1");
    lead_to("2");
    site.conf(&[("text", "text=bad")]);
    assert_eq!(site.sh(&format!("swift-reload {pid}")).code(), 1);
    site.sh(&format!("http-client get {ADDRESS} /die"));
    assert_eq!(site.told("text"), "release-1");
    site.conf(&[]);
    site.must(&format!("swift-reload {pid}"));
    assert_eq!(site.told("text"), "release-2");
    fs::remove_file(&current).unwrap();
    let refused = site.sh(&format!("swift-reload --no-check {pid}"));
    assert_eq!(refused.code(), 1, "{refused}");
    let why = format!(
        "cannot enter {}: No such file or directory",
        current.display()
    );
    assert!(refused.err().contains(&why), "{refused}");
    assert_eq!(site.told("text"), "release-2");
}
