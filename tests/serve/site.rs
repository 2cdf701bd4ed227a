//! A server under swift-serve in namespaces of its own: `swift-hello-server`, whose workers are the
//! helpers' HTTP worker.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use test_helpers::report;
use test_helpers::{Load, Outcome, Sandbox, run, tools_dir};

/// Where it answers unless a test says otherwise.
pub const ADDRESS: &str = "127.0.0.1:8080";

/// Lists the workers that run, in a line of shell that does not list itself.
pub const WORKERS: &str = "grep -la '[h]ttp-worker' /proc/[0-9]*/cmdline";

/// How long something is waited for that has to come.
const PATIENCE: Duration = Duration::from_secs(300);

/// The file of the server that most tests use. What a test changes, it changes in the config.
pub const HELLO: &str = r#"
listen  = ["{bind_ip}:{bind_port}"]
workers = "{workers}"
command = ["{program}", "notify", "{behaviour}", "wait={gate}", "text={text}"]
reload_timeout = 240
bind_timeout = 10
"#;

/// The server.
pub struct Site {
    /// Where it lives. It ends with it.
    pub sandbox: Sandbox,
    name: String,
}

impl Site {
    /// `swift-hello-server` with its usual file and config, not started.
    pub fn new() -> Site {
        let site = Site::with("hello-server", HELLO);
        site.conf(&[]);
        site
    }

    /// A server of this name with this file, known to the catalogue, without a config.
    pub fn with(name: &str, file: &str) -> Site {
        let sandbox = Sandbox::in_namespace();
        let site = Site {
            sandbox,
            name: name.to_owned(),
        };
        site.file(file);
        let known = format!("[server.{name}]\ngroup = \"main\"\nserve = true\n");
        fs::write(site.sandbox.etc().join("swift-init.toml"), known).expect("it is ours");
        site
    }

    /// Writes the file of the server anew.
    pub fn file(&self, file: &str) {
        let program = self.program();
        let interpreter = tools_dir().join("swift-serve");
        let text = format!("#!{}\n{file}", interpreter.display());
        fs::write(&program, text).expect("the sandbox is ours");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// The server's program, which is its file.
    pub fn program(&self) -> PathBuf {
        self.sandbox.path(format!("bin/swift-{}", self.name))
    }

    /// Writes the config: the usual values, but for these.
    pub fn conf(&self, changes: &[(&str, &str)]) {
        let worker = tools_dir().join("http-worker");
        let usual = [
            ("bind_ip", "127.0.0.1"),
            ("bind_port", "8080"),
            ("workers", "2"),
            ("program", worker.to_str().expect("a path in UTF-8")),
            ("behaviour", "serve"),
            ("gate", "-"),
            ("text", "hello"),
        ];
        let lines = test_helpers::lines_of(&usual, changes);
        self.sandbox.conf(&format!("{}.conf", self.name), &lines);
    }

    /// Runs a line of shell where the server lives.
    pub fn sh(&self, line: &str) -> Outcome {
        run(self.sandbox.command("sh").args(["-c", line]))
    }

    /// Runs a line of shell that has to succeed.
    pub fn must(&self, line: &str) -> Outcome {
        let outcome = self.sh(line);
        assert_eq!(outcome.code(), 0, "{line}: {outcome}\n{}", self.states());
        outcome
    }

    /// Starts it through swift-init.
    pub fn start(&self) -> String {
        self.must(&format!("swift-init {} start", self.name));
        self.pid()
    }

    /// The manager's pid, as the pid file has it.
    pub fn pid(&self) -> String {
        let file = self.sandbox.run_dir().join(format!("{}.pid", self.name));
        fs::read_to_string(file)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    /// What `GET PATH` answers.
    pub fn get(&self, address: &str, path: &str) -> String {
        let outcome = self.sh(&format!("http-client get '{address}' '{path}'"));
        assert_eq!(
            outcome.code(),
            0,
            "GET {path}: {outcome}\n{}",
            self.states()
        );
        outcome.out()
    }

    /// What a worker says under this name on its page.
    pub fn told(&self, what: &str) -> String {
        let page = self.get(ADDRESS, "/");
        let mut words = page.split_whitespace();
        let word = words.find_map(|word| word.strip_prefix(what)?.strip_prefix('='));
        word.unwrap_or_else(|| panic!("no {what} in {page}"))
            .to_owned()
    }

    /// The rows of `swift-serve --status`.
    pub fn status(&self) -> Outcome {
        self.sh(&format!("swift-serve --status {}", self.pid()))
    }

    /// Waits until something is so. Each look takes a process's time, so the processor is not idle
    /// meanwhile, but no event would tell it from outside.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end, "not seen: {what}\n{}", self.states());
        }
    }

    /// Whether the manager is at rest: it serves, and no standby is left.
    pub fn is_at_rest(&self) -> bool {
        let rows = self.status().rows();
        let is = |row: &[String], kind: &str| row.get(1).is_some_and(|known| known == kind);
        let serving = |row: &Vec<String>| is(row, "manager") && row[4] == "serving";
        rows.iter().any(serving) && !rows.iter().any(|row| is(row, "standby"))
    }

    /// Loads the server from here on.
    pub fn load(&self, address: &str, new: usize, kept: usize) -> Load {
        Load::begin(self.sandbox.command("http-client"), address, "/", new, kept)
    }

    /// What runs where the server lives, for a test that failed.
    fn states(&self) -> String {
        self.sh("for p in /proc/[0-9]*; do echo \"$(cat $p/stat | cut -c-60) $(tr '\\000' ' ' <$p/cmdline)\"; done")
            .out()
    }
}
