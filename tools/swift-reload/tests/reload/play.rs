//! Fake servers that run, and swift-reload beside them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use test_helpers::{Outcome, Sandbox, run, run_with};

/// A sandbox with all servers installed.
pub fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.install(&test_helpers::SERVERS);
    sandbox
}

/// A server that runs.
pub struct Server<'a> {
    pub sandbox: &'a Sandbox,
    pub pid: i32,
    pub name: &'static str,
    pub config: PathBuf,
}

/// Starts an object server with a config of that number, and waits until it is ready.
pub fn start<'a>(sandbox: &'a Sandbox, number: usize, lines: &str) -> Server<'a> {
    let up = fifo(sandbox, &format!("up-{number}"));
    let lines = format!("{lines}\ntell = {}", up.display());
    begin(
        sandbox,
        number,
        &lines,
        "swift-object-server $1 >/dev/null 2>&1 & <$2 echo $!",
    )
}

/// Starts one that is not ready before that event.
pub fn start_slow<'a>(sandbox: &'a Sandbox, number: usize, event: &Path) -> Server<'a> {
    fifo(sandbox, &format!("up-{number}"));
    let lines = format!("print = here\\n\nready_after = {}", event.display());
    begin(
        sandbox,
        number,
        &lines,
        "swift-object-server $1 >$2 & read -r here <$2; echo $!",
    )
}

fn begin<'a>(sandbox: &'a Sandbox, number: usize, lines: &str, shell: &str) -> Server<'a> {
    let config = sandbox.conf(&format!("object-server/{number}.conf"), lines);
    let up = sandbox.path(format!("up-{number}"));
    let mut command = sandbox.command("sh");
    let outcome = run(command.args(["-c", shell, "sh"]).args([&config, &up]));
    Server {
        sandbox,
        pid: outcome
            .out()
            .trim()
            .parse()
            .expect("the shell said its pid"),
        name: "object-server",
        config,
    }
}

impl Server<'_> {
    /// The row of this server in that state.
    pub fn row(&self, state: &str) -> String {
        let number = self.config.file_stem().expect("a name").display();
        let pid_file = self.sandbox.run_dir().join("object-server");
        format!(
            "{}\t{}\t{}/{number}.pid\t{}\t-\t{state}\n",
            self.name,
            self.config.display(),
            pid_file.display(),
            self.pid,
        )
    }

    /// Its row while it runs.
    pub fn running(&self) -> String {
        self.row("running\t-")
    }

    /// Whether it runs; a process that ended has no command line.
    pub fn lives(&self) -> bool {
        std::fs::read(format!("/proc/{}/cmdline", self.pid)).is_ok_and(|line| !line.is_empty())
    }

    /// Its only child, after it has executed: inside exec a process has no command line.
    pub fn child(&self) -> i32 {
        let path = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = std::fs::read_to_string(path).expect("it runs");
        let child = children.trim().parse().expect("one child");
        let line = format!("/proc/{child}/cmdline");
        while std::fs::read(&line).expect("the child runs").is_empty() {
            std::thread::yield_now();
        }
        child
    }
}

/// A fifo in the sandbox: an event.
pub fn fifo(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path(name);
    let made = Command::new("mkfifo")
        .args(["-m", "666"])
        .arg(&path)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "no mkfifo");
    path
}

/// Makes an event happen for whoever waits for it.
pub fn happen(event: &PathBuf) {
    File::options()
        .write(true)
        .open(event)
        .expect("a fifo can be opened");
}

/// Runs swift-reload with these arguments on these rows.
pub fn reload(sandbox: &Sandbox, args: &[&str], rows: &str) -> Outcome {
    let mut command = sandbox.command("swift-reload");
    command.args(args).arg("--swift-dir").arg(sandbox.etc());
    run_with(&mut command, rows.as_bytes(), Duration::from_secs(60))
}

/// State and detail of each row that was written.
pub fn said(outcome: &Outcome) -> Vec<String> {
    let rows = outcome.rows();
    rows.iter().map(|row| row[5..7].join(" ")).collect()
}

/// A swift-reload that goes on, whose standard output is read line by line.
pub struct Going {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Going {
    /// Starts one on these rows. What it says of its steps comes between its rows.
    pub fn start(sandbox: &Sandbox, args: &[&str], rows: &str) -> Going {
        let mut command = sandbox.command("sh");
        command.args(["-c", "exec swift-reload \"$@\" 2>&1", "sh"]);
        command.args(args).arg("--swift-dir").arg(sandbox.etc());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("swift-reload can be run");
        let mut input = child.stdin.take().expect("its input is a pipe");
        input.write_all(rows.as_bytes()).expect("it reads rows");
        let lines = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Going { child, lines }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads until a line that has this in it.
    pub fn until(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            let read = self.lines.read_line(&mut line).expect("lines of text");
            assert!(read > 0, "it ended without a word of {what:?}");
        }
    }

    /// Returns when it has waited so many times more (voluntary_ctxt_switches in proc_pid_status(5)).
    pub fn await_waits(&self, more: u64) {
        let waits = || -> u64 {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
            let status = status.expect("it runs");
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            count
                .expect("proc(5) has it")
                .trim()
                .parse()
                .expect("a number")
        };
        let enough = waits() + more;
        while waits() < enough {
            std::thread::yield_now();
        }
    }

    /// Reads the rest and waits for the end: what was said, and the exit status.
    pub fn finish(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("lines of text");
        let status = self.child.wait().expect("a child can be waited for");
        (rest, status.code())
    }
}

/// Whether this is root, who alone can have a server of another user. Says so when it is not.
pub fn is_root(what: &str) -> bool {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        let told = writeln!(std::io::stderr(), "not tested, needs root: {what}");
        told.expect("standard error is open");
    }
    is_root
}
