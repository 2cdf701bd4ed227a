//! A stranger: gunicorn from PyPI, as it is.

use std::fs;

use test_helpers::lab;

use crate::site::{ADDRESS, Site};

const RELOADS: usize = 5;

const APP: &str = r#"
def app(environ, start_response):
    body = b"text=stranger\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"#;

/// With its default workers, since its threaded ones close what they have accepted and not yet read
/// when they are told to leave: no server that holds sockets for them can make up for that.
#[test]
fn gunicorn_is_reloaded_as_it_is() {
    let gunicorn = lab::venv(lab::NEWEST).join("bin/gunicorn");
    let gunicorn = gunicorn.display().to_string();
    assert!(
        fs::exists(&gunicorn).is_ok_and(|there| there),
        "{gunicorn}: run `make venv`"
    );
    let site = Site::with(
        "hello-server",
        "listen = [\"{bind_ip}:{bind_port}\"]\nreload_timeout = 240\n\
         command = [\"{program}\", \"--chdir\", \"{dir}\", \"--worker-class\", \"sync\", \
         \"--workers\", \"2\", \"--worker-tmp-dir\", \"/dev/shm\", \
         \"--timeout\", \"300\", \"--graceful-timeout\", \"300\", \
         \"--error-logfile\", \"{dir}/log\", \"stranger:app\"]\n",
    );
    let dir = site.sandbox.path("");
    fs::write(dir.join("stranger.py"), APP).expect("the sandbox is ours");
    let dir = dir.to_str().expect("a path in UTF-8");
    site.conf(&[("program", &gunicorn), ("dir", dir)]);
    let pid = site.start();
    let load = site.load(ADDRESS, 4, 4);
    for number in 1..=RELOADS {
        let outcome = site.sh(&format!("swift-reload {pid}"));
        assert_eq!(outcome.code(), 0, "reload {number}: {outcome}");
    }
    let counts = load.end();
    let log = fs::read_to_string(site.sandbox.path("log")).unwrap_or_default();
    crate::site::tell(&format!(
        "gunicorn, {RELOADS} reloads: {}",
        counts.line.trim()
    ));
    assert_eq!(counts.lost(), 0, "{}\n{log}", counts.line);
    assert!(counts.answered > 0, "{}", counts.line);
    assert_eq!(site.pid(), pid);
}
