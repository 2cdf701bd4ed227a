//! What the tests have in common: servers, rows, and a swift-spawn to talk to.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use test_helpers::{LIMIT, Outcome, Sandbox, run, run_with};

/// One row of columns.
pub type Row = Vec<String>;

/// A sandbox with an object-server and an object-replicator.
pub struct Stage(Sandbox);

impl Deref for Stage {
    type Target = Sandbox;
    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Stage {
    pub fn new() -> Stage {
        Stage::in_sandbox(Sandbox::new())
    }

    pub fn in_sandbox(sandbox: Sandbox) -> Stage {
        sandbox.install(&["object-server", "object-replicator"]);
        Stage(sandbox)
    }

    /// Makes the object-server a script, as the real one is.
    pub fn scripted(&self) {
        fs::remove_file(self.path("bin/swift-object-server")).expect("it was installed");
        self.install_script("object-server");
    }

    /// Writes the config `object-server/NAME.conf`.
    pub fn server(&self, name: &str, lines: &str) {
        self.conf(&format!("object-server/{name}.conf"), lines);
    }

    /// The row of a stopped object-server.
    pub fn row(&self, name: &str) -> String {
        self.row_of("object-server", name)
    }

    /// The row of a stopped server that reads an object-server's config.
    pub fn row_of(&self, server: &str, name: &str) -> String {
        let (etc, run) = (self.etc(), self.run_dir());
        format!(
            "{server}\t{}/object-server/{name}.conf\t{}/{server}/{name}.pid\t-\t-\tstopped\tabsent\n",
            etc.display(),
            run.display()
        )
    }

    /// Where the pid file of such an object-server lies.
    pub fn pid_path(&self, name: &str) -> PathBuf {
        self.run_dir().join(format!("object-server/{name}.pid"))
    }

    /// swift-spawn with these words; warnings about limits are left to the test of limits.
    pub fn spawn_command(&self, words: &[&str]) -> Command {
        let mut command = self.command("swift-spawn");
        command.arg("--swift-dir").arg(self.etc()).args(words);
        if !words.contains(&"--help") {
            command.arg("--keep-limits");
        }
        command
    }

    /// What swift-spawn makes of rows.
    pub fn spawn(&self, words: &[&str], rows: &str) -> Outcome {
        run_with(&mut self.spawn_command(words), rows.as_bytes(), LIMIT)
    }

    /// What a line of shell makes of rows.
    pub fn shell(&self, line: &str, rows: &str) -> Outcome {
        run_with(
            self.command("sh").args(["-c", line]),
            rows.as_bytes(),
            LIMIT,
        )
    }

    /// Makes a fifo: an event.
    pub fn fifo(&self, name: &str) -> PathBuf {
        let outcome = run(self.command("mkfifo").arg(name));
        assert_eq!(outcome.code(), 0, "{outcome}");
        self.path(name)
    }

    /// A swift-spawn that goes on while the test talks to it.
    pub fn talk(&self, words: &[&str]) -> Talk {
        let mut child = self
            .spawn_command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("swift-spawn can be started");
        let lines = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (send, rows) = channel();
        std::thread::spawn(move || {
            for line in lines.lines() {
                let line = line.expect("rows of a test are text");
                if send.send(columns(&line)).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take();
        Talk { child, input, rows }
    }
}

/// A running swift-spawn.
pub struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    rows: Receiver<Row>,
}

impl Talk {
    /// Hands it rows.
    pub fn say(&mut self, rows: &str) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(rows.as_bytes()).expect("it reads");
    }

    /// Its next row.
    pub fn hear(&self) -> Row {
        self.rows.recv_timeout(LIMIT).expect("it has a row to say")
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let outcome = run(Command::new("kill").args(["-s", name, &pid]));
        assert_eq!(outcome.code(), 0, "{outcome}");
    }

    /// Whether it has ended by itself: no row comes, and none ever will.
    pub fn no_more(&self) -> bool {
        self.rows.recv_timeout(LIMIT) == Err(RecvTimeoutError::Disconnected)
    }

    /// Ends its input, and gives the rows that it still says, and its exit status.
    pub fn end(mut self) -> (Vec<Row>, Option<i32>) {
        drop(self.input.take());
        let mut rest = Vec::new();
        while let Ok(row) = self.rows.recv_timeout(LIMIT) {
            rest.push(row);
        }
        let status = self.child.wait().expect("it is a child of the test");
        (rest, status.code())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // A test that failed leaves it running. It was not waited for, so the
        // number is still its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn columns(line: &str) -> Row {
    line.split('\t').map(str::to_owned).collect()
}

/// State and detail of a row.
pub fn state(row: &Row) -> (&str, &str) {
    (&row[5], &row[6])
}

/// States and details of all rows of a config's name, in their order.
pub fn states(outcome: &Outcome, name: &str) -> Vec<(String, String)> {
    let config = format!("/{name}.conf");
    let rows = outcome.rows();
    let rows = rows.iter().filter(|row| row[1].ends_with(&config));
    rows.map(|row| (row[5].clone(), row[6].clone())).collect()
}

/// The same for states alone, written as one line.
pub fn course(outcome: &Outcome, name: &str) -> String {
    let states = states(outcome, name);
    let words: Vec<&str> = states.iter().map(|(state, _)| state.as_str()).collect();
    words.join(" ")
}

/// Makes an event happen that a process waits for. Returns when it waits.
pub fn release(fifo: &PathBuf) {
    drop(File::options().write(true).open(fifo).expect("it is there"));
}

/// Whether a process runs; a zombie does not, and has no command line.
pub fn runs(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}
