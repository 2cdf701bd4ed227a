//! The program itself replaced, and a reload: a newer one is taken up, and one that cannot go on is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_helpers::{Outcome, run, tools_dir};

use crate::site::{ADDRESS, HELLO, Site};

/// A server under a swift-serve of its own, which can be replaced.
struct Installed {
    site: Site,
    program: PathBuf,
    /// The directory of fault points, by which an image can be of another version than this one's.
    plans: PathBuf,
}

impl Installed {
    /// Installs it. It is not started.
    fn new() -> Installed {
        let site = Site::new();
        // Not on PATH, where this test looks for one that works.
        let program = site.sandbox.path("installed/swift-serve");
        let plans = site.sandbox.path("plans");
        for directory in [plans.as_path(), program.parent().expect("it has one")] {
            fs::create_dir(directory).expect("the sandbox is ours");
        }
        let file = format!("#!{}\n{HELLO}", program.display());
        let installed = Installed {
            site,
            program,
            plans,
        };
        installed.replace(0o755, &this_image());
        fs::write(installed.site.program(), file).expect("the sandbox is ours");
        installed
    }

    /// Puts another program in its place, as a package manager does.
    fn replace(&self, mode: u32, bytes: &[u8]) {
        let (built, new) = ["built", "new"]
            .map(|name| self.program.with_extension(name))
            .into();
        fs::write(&built, bytes).expect("the sandbox is ours");
        // A child that another test has just forked may have this test's descriptors open, and what is open
        // for writing cannot be executed: so another process writes the file.
        let mut install = Command::new("install");
        let outcome = run(install.arg(format!("-m{mode:o}")).args([&built, &new]));
        assert_eq!(outcome.code(), 0, "{outcome}");
        fs::rename(&new, &self.program).expect("it is ours");
    }

    fn start(&self) -> String {
        let faults = format!("SWIFT_FAULTS={}", self.plans.display());
        self.site
            .must(&format!("{faults} swift-init hello-server start"));
        self.site.pid()
    }

    /// Has images that start from here on understand this version of the state alone.
    fn version(&self, version: &str) {
        let plan = self.plans.join("swift-serve:state-version");
        fs::write(plan, version).expect("the sandbox is ours");
    }

    /// Reloads it in vain: the same process and generation serve on.
    fn refused(&self, pid: &str) -> Outcome {
        let outcome = self.site.sh(&format!("swift-reload --no-check {pid}"));
        assert_eq!(outcome.code(), 1, "{outcome}");
        assert_eq!(self.site.told("generation"), "1", "{outcome}");
        assert_eq!(self.site.pid(), pid, "{outcome}");
        self.site.until("it is at rest", || self.site.is_at_rest());
        outcome
    }

    /// The file that a process executes, as the kernel names it.
    fn executed(&self, pid: &str) -> String {
        let link = self.site.must(&format!("readlink /proc/{pid}/exe"));
        link.out().trim().to_owned()
    }
}

fn this_image() -> Vec<u8> {
    fs::read(tools_dir().join("swift-serve")).expect("it is built")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn a_reload_takes_up_a_newer_program() {
    let server = Installed::new();
    let pid = server.start();
    let load = server.site.load(ADDRESS, 4, 4);
    let newer = [&this_image()[..], b"newer"].concat();
    server.replace(0o755, &newer);
    let deleted = format!("{} (deleted)", path(&server.program));
    assert_eq!(server.executed(&pid), deleted);
    server.site.must(&format!("swift-reload {pid}"));
    assert_eq!(server.executed(&pid), path(&server.program));
    assert_eq!(server.site.told("generation"), "2");
    assert_eq!(server.site.pid(), pid);
    load.end().all_answered();
}

#[test]
fn a_program_that_cannot_be_executed_is_refused() {
    let server = Installed::new();
    let pid = server.start();
    let load = server.site.load(ADDRESS, 4, 4);
    let why = |reason: &str| format!("cannot execute {}: {reason}", path(&server.program));
    let refused = |reason: &str| {
        let outcome = server.refused(&pid);
        assert!(outcome.err().contains(&why(reason)), "{outcome}");
    };
    server.replace(0o755, b"\x7fELF, but no more");
    refused("Exec format error");
    server.replace(0o644, &this_image());
    refused("Permission denied");
    fs::remove_file(&server.program).expect("it is ours");
    refused("No such file or directory");
    server.replace(0o755, &this_image());
    server.site.must(&format!("swift-reload {pid}"));
    assert_eq!(server.site.told("generation"), "2");
    load.end().all_answered();
}

/// Nothing shows before it is executed that this one does not go on.
#[test]
fn a_program_that_exits_leaves_the_server_to_the_standby() {
    let server = Installed::new();
    let pid = server.start();
    let load = server.site.load(ADDRESS, 4, 4);
    server.replace(0o755, b"#!/bin/sh\nexit 0\n");
    let outcome = server.site.sh(&format!("swift-reload --no-check {pid}"));
    assert_eq!(outcome.code(), 1, "{outcome}");
    server.site.until("the standby is in the pid file", || {
        server.site.pid() != pid
    });
    server
        .site
        .until("it is at rest", || server.site.is_at_rest());
    assert_eq!(server.site.told("generation"), "1");
    server.replace(0o755, &this_image());
    let standby = server.site.pid();
    server.site.must(&format!("swift-reload {standby}"));
    assert_eq!(server.site.pid(), standby);
    load.end().all_answered();
}

/// An upgrade and a downgrade to a program that cannot read the state of the one that runs.
#[test]
fn a_state_of_another_version_is_refused_in_both_directions() {
    for (old, new) in [("999", "1000"), ("1000", "999")] {
        let server = Installed::new();
        server.version(old);
        let pid = server.start();
        let load = server.site.load(ADDRESS, 4, 4);
        server.replace(0o755, &this_image());
        server.version(new);
        let outcome = server.refused(&pid);
        let why = format!("its state is of version {old}, and version {new} is understood");
        assert!(outcome.err().contains(&why), "{outcome}");
        // With the old program in its place again, it is reloaded as ever.
        server.version(old);
        server.site.must(&format!("swift-reload {pid}"));
        assert_eq!(server.site.told("generation"), "2");
        assert_eq!(server.site.pid(), pid);
        load.end().all_answered();
    }
}
