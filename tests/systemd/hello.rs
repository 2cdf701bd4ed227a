//! `swift-hello-server`: a server under swift-serve, whose workers are the helpers' HTTP worker.

use test_helpers::systemd::Machine;

/// Its unit.
pub const UNIT: &str = "swift-serve@hello";

/// Where it answers.
pub const ADDRESS: &str = "127.0.0.1:8080";

/// Its program, which is its file. What a test changes, it changes in the config.
const FILE: &str = r#"#!/usr/bin/swift-serve
listen  = ["{bind_ip}:{bind_port}"]
workers = "{workers}"
command = ["/usr/bin/http-worker", "notify", "{behaviour}", "wait={gate}", "text={text}"]
reload_timeout = 240
bind_timeout = 10
"#;

/// Installs it with the usual config, but for these values. It is not started.
pub fn install(machine: &Machine, changes: &[(&str, &str)]) {
    machine.user("swift");
    machine.must("install -d -o swift -g swift /run/swift");
    machine.program("/usr/bin/swift-hello-server", FILE);
    let known = "[server.hello-server]\ngroup = \"main\"\nserve = true\n";
    machine.write("/etc/swift/swift-init.toml", known);
    conf(machine, changes);
}

/// Writes its config anew: the usual values, but for these.
pub fn conf(machine: &Machine, changes: &[(&str, &str)]) {
    let usual = [
        ("bind_ip", "127.0.0.1"),
        ("bind_port", "8080"),
        ("workers", "2"),
        ("behaviour", "serve"),
        ("gate", "-"),
        ("text", "hello"),
    ];
    let lines = test_helpers::lines_of(&usual, changes);
    let text = format!("[DEFAULT]\n{lines}\n");
    machine.write("/etc/swift/hello-server.conf", &text);
}

/// What a worker says under this name on its page: `generation`, `pid`, `uid` or `text`.
pub fn told(machine: &Machine, what: &str) -> String {
    let page = machine.get(ADDRESS, "/");
    let mut words = page.split_whitespace();
    let word = words.find_map(|word| word.strip_prefix(what)?.strip_prefix('='));
    word.unwrap_or_else(|| panic!("no {what} in {page}"))
        .to_owned()
}

/// Whether it answers.
pub fn answers(machine: &Machine) -> bool {
    machine.sh(&format!("http-client get {ADDRESS} /")).code() == 0
}
