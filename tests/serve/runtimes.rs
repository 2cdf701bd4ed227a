//! Servers in other languages as workers, as the pages show them: reloads under load lose nothing, and an
//! application that is broken does not replace one that works.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_helpers::{lab, run};

use crate::site::{ADDRESS, Site};

/// How many reloads a runtime is played with.
fn reloads() -> usize {
    match std::env::var_os("SWIFT_SOAK") {
        Some(_) => 50,
        None => 3,
    }
}

/// A server that is not Swift's, and how it is run.
struct Runtime<'a> {
    name: &'a str,
    /// What prints its version.
    version: &'a [&'a str],
    /// The keys of the server's file beside `listen`.
    keys: &'a str,
    /// The files beside it: name and text.
    files: &'a [(&'a str, &'a str)],
    /// The file that a release breaks, and how.
    broken: (&'a str, &'a str),
}

/// Where a program lies, if it does.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|dir| dir.join(name));
    found.find(|file| file.is_file())
}

/// A program of the virtual environment.
fn installed(name: &str) -> String {
    let program = lab::venv(lab::NEWEST).join("bin").join(name);
    assert!(program.is_file(), "{}: run `make venv`", program.display());
    program.display().to_string()
}

fn write(dir: &Path, (name, text): (&str, &str)) {
    fs::write(dir.join(name), text).expect("the sandbox is ours");
}

fn play(runtime: &Runtime) {
    let [program, args @ ..] = runtime.version else {
        panic!("no program");
    };
    let version = run(Command::new(program).args(args));
    let version = version.out();
    let site = Site::with("hello-server", "");
    let dir = site.sandbox.path("");
    for file in runtime.files {
        write(&dir, *file);
    }
    let keys = runtime
        .keys
        .replace("{dir}", dir.to_str().expect("a path in UTF-8"));
    site.file(&format!(
        "listen = [\"{ADDRESS}\"]\nreload_timeout = 240\n{keys}"
    ));
    site.conf(&[]);
    let pid = site.start();
    let load = site.load(ADDRESS, 2, 2);
    let reloads = reloads();
    for number in 1..=reloads {
        let outcome = site.sh(&format!("swift-reload {pid}"));
        assert_eq!(outcome.code(), 0, "reload {number}: {outcome}");
    }
    write(&dir, runtime.broken);
    let refused = site.sh(&format!("swift-reload {pid}"));
    let counts = load.end();
    let lines = (
        version.lines().next().unwrap_or_default(),
        counts.line.trim(),
    );
    crate::site::report(&format!(
        "{} ({}), {reloads} reloads and a broken one: {}",
        runtime.name, lines.0, lines.1
    ));
    assert_eq!(refused.code(), 1, "with a broken application: {refused}");
    assert_eq!(counts.lost(), 0, "{}", counts.line);
    assert!(counts.answered > 0, "{}", counts.line);
    assert_eq!(site.told("text"), "hello");
    assert_eq!(site.pid(), pid);
}

const BROKEN_PYTHON: &str = "raise RuntimeError('broken')\n";

/// With its default workers, since its threaded ones close what they have accepted and not yet read
/// when they are told to leave: no server that holds sockets for them can make up for that.
#[test]
fn gunicorn() {
    let gunicorn = installed("gunicorn");
    play(&Runtime {
        name: "gunicorn",
        version: &[&gunicorn, "--version"],
        keys: &format!(
            "ready = \"accept\"\ncommand = [\"{gunicorn}\", \"--workers\", \"2\", \
             \"--worker-tmp-dir\", \"/dev/shm\", \"--timeout\", \"300\", \
             \"--graceful-timeout\", \"300\", \"--chdir\", \"{{dir}}\", \"hello:app\"]\n"
        ),
        files: &[("hello.py", include_str!("runtimes/hello.py"))],
        broken: ("hello.py", BROKEN_PYTHON),
    });
}

#[test]
fn uvicorn() {
    let python = installed("python3");
    play(&Runtime {
        name: "uvicorn",
        version: &[&python, "-m", "uvicorn", "--version"],
        keys: &format!(
            "ready = \"accept\"\ncommand = [\"{python}\", \"{{dir}}/serve.py\", \"hello_asgi:app\"]\n"
        ),
        files: &[
            ("serve.py", include_str!("runtimes/serve.py")),
            ("hello_asgi.py", include_str!("runtimes/hello_asgi.py")),
        ],
        broken: ("hello_asgi.py", BROKEN_PYTHON),
    });
}

#[test]
fn node() {
    let Some(node) = program("node") else {
        return crate::site::report("not played without node: Node under swift-serve");
    };
    let node = node.display().to_string();
    play(&Runtime {
        name: "Node",
        version: &[&node, "--version"],
        keys: &format!("ready = \"accept\"\ncommand = [\"{node}\", \"{{dir}}/hello.js\"]\n"),
        files: &[("hello.js", include_str!("runtimes/hello.js"))],
        broken: ("hello.js", "throw new Error('broken');\n"),
    });
}

#[test]
fn puma() {
    let Some(puma) = program("puma") else {
        return crate::site::report("not played without puma: Puma under swift-serve");
    };
    let puma = puma.display().to_string();
    play(&Runtime {
        name: "Puma",
        version: &[&puma, "--version"],
        keys: &format!(
            "ready = \"accept\"\ncommand = [\"{puma}\", \"--config\", \"{{dir}}/puma.rb\"]\n"
        ),
        files: &[
            ("puma.rb", include_str!("runtimes/puma.rb")),
            ("hello.ru", include_str!("runtimes/hello.ru")),
        ],
        broken: ("hello.ru", "raise 'broken'\n"),
    });
}

/// Go says when it is ready, since what it waits for does not show.
#[test]
fn go() {
    let Some(go) = program("go") else {
        return crate::site::report("not played without go: Go under swift-serve");
    };
    let sources = tempfile::tempdir().expect("a temporary directory");
    write(
        sources.path(),
        ("hello.go", include_str!("runtimes/hello.go")),
    );
    let built = run(Command::new(&go)
        .args(["build", "-o", "hello", "hello.go"])
        .current_dir(sources.path())
        .env("GOCACHE", test_helpers::tools_dir().join("go-cache"))
        .env("GOFLAGS", "-mod=mod"));
    assert_eq!(built.code(), 0, "{built}");
    let go = go.display().to_string();
    let hello = sources.path().join("hello").display().to_string();
    play(&Runtime {
        name: "Go",
        version: &[&go, "version"],
        keys: "ready = \"notify\"\ncommand = [\"sh\", \"{dir}/hello.sh\"]\n",
        files: &[("hello.sh", &format!("exec {hello}\n"))],
        broken: ("hello.sh", &format!("exec {hello} broken\n")),
    });
}
