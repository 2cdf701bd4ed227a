//! SIGHUP: the manager leaves at once, requests under way finish.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Child, Stdio};

use test_helpers::run;

use crate::site::{ADDRESS, Site};

/// A request that a worker is busy with, until it is let go.
pub struct Slow {
    client: Child,
    fifo: File,
}

impl Slow {
    /// Sends the request, and returns when a worker has begun to answer it.
    pub fn begin(site: &Site) -> Slow {
        let path = site.sandbox.path("slow.fifo");
        let path = path.to_str().expect("a path in UTF-8");
        run(std::process::Command::new("mkfifo").args(["-m", "666", path]));
        let mut command = site.sandbox.command("http-client");
        command.args(["get", ADDRESS, &format!("/slow?{path}")]);
        let client = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client can be run");
        // Opening waits until the worker has opened the other end.
        let fifo = OpenOptions::new()
            .write(true)
            .open(path)
            .expect("a fifo can be opened");
        Slow { client, fifo }
    }

    /// Waits until its worker is gone without an answer.
    pub fn await_cut(self) {
        let outcome = self.client.wait_with_output().expect("the client ends");
        assert_eq!(outcome.status.code(), Some(1));
    }

    /// Lets it go; its answer arrives whole.
    pub fn finish(mut self) {
        self.fifo
            .write_all(b"late but whole\n")
            .expect("the worker still reads");
        drop(self.fifo);
        let outcome = self.client.wait_with_output().expect("the client ends");
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), "late but whole\n");
    }
}

#[test]
fn a_reload_lets_a_slow_request_finish() {
    let site = Site::new();
    let pid = site.start();
    let slow = Slow::begin(&site);
    site.conf(&[("text", "new")]);
    site.must("swift-init hello-server reload");
    assert_ne!(site.pid(), pid, "the manager was replaced");
    site.until("the new one answers", || site.told("text") == "new");
    slow.finish();
}

#[test]
fn a_shutdown_lets_a_slow_request_finish() {
    let site = Site::new();
    site.start();
    let slow = Slow::begin(&site);
    site.must("swift-init hello-server shutdown");
    slow.finish();
    site.until("no worker is left", || {
        site.sh(crate::site::WORKERS).out().is_empty()
    });
}
