//! The points at which the tools of a test build stop or die; shared/sys/src/failpoint.rs says how.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;

use test_helpers::{LIMIT, Sandbox, pidfd};

/// The directory of a sandbox's points.
pub struct Points(PathBuf);

impl Points {
    /// No point yet.
    pub fn new(sandbox: &Sandbox) -> Points {
        let dir = sandbox.path("faults");
        fs::create_dir(&dir).expect("the sandbox can be written");
        Points(dir)
    }

    /// Has a command, and all that it starts, look here.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(swift_sys::failpoint::VARIABLE, &self.0)
    }

    /// The first process that comes to `PROGRAM:POINT` kills itself there.
    pub fn kill_at(&self, point: &str) {
        fs::write(self.0.join(point), "").expect("the sandbox can be written");
    }

    /// This many processes pass `PROGRAM:POINT` before one kills itself there.
    pub fn kill_after(&self, point: &str, passing: usize) {
        fs::write(self.0.join(point), passing.to_string()).expect("the sandbox can be written");
    }

    /// Removes a point of [`Points::kill_at`]; true if no process has come to it.
    pub fn is_left(&self, point: &str) -> bool {
        fs::remove_file(self.0.join(point)).is_ok()
    }

    /// A process that comes to `PROGRAM:POINT` stops there until it is released.
    pub fn pause_at(&self, point: &str) -> Pause {
        let fifo = |name: &str| {
            let path = self.0.join(name);
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo can be made");
            // Open at both ends, so that neither this open nor a process's waits.
            let opened = File::options().read(true).write(true).open(&path);
            (path, opened.expect("the fifo is ours"))
        };
        let (path, reached) = fifo(point);
        let (go_path, go) = fifo(&format!("{point}{}", swift_sys::failpoint::GO));
        Pause {
            point: point.to_owned(),
            paths: [path, go_path],
            reached,
            go,
        }
    }
}

/// A point at which processes stop. A drop removes it and releases the process that stands there.
pub struct Pause {
    point: String,
    paths: [PathBuf; 2],
    reached: File,
    go: File,
}

impl Pause {
    /// Waits until a process stands there, and gives its pid as its own namespace has it.
    ///
    /// # Panics
    /// When no process comes within the time that a test has.
    pub fn reached(&self) -> i32 {
        assert!(
            pidfd::readable_within(&self.reached, LIMIT),
            "{}: no process came by; the tools have points only when built with the feature faults",
            self.point
        );
        let (mut text, mut byte) = (String::new(), [0]);
        while byte != *b"\n" {
            (&self.reached).read_exact(&mut byte).expect("it is told");
            text.push(char::from(byte[0]));
        }
        text.trim().parse().expect("a pid")
    }

    /// Lets one process go on.
    pub fn go(&self) {
        (&self.go).write_all(b"x").expect("a fifo holds a byte");
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        for path in &self.paths {
            let _ = fs::remove_file(path);
        }
        self.go();
    }
}
