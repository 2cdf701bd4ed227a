//! `swift@NAME`: systemd and swift-init see the same servers, whatever happens to them.

use std::collections::BTreeSet;
use std::fs;

use test_helpers::report;
use test_helpers::systemd::Machine;

const CONFIGS: [&str; 2] = ["1", "2"];

/// A machine with fake servers: a proxy with two workers, and object servers and replicators with two
/// configs.
fn machine() -> Option<Machine> {
    let machine = Machine::boot()?;
    machine.user("swift");
    machine.fake_servers(&["proxy-server", "object-server", "object-replicator"]);
    proxy(&machine, "workers = 2");
    CONFIGS.iter().for_each(|name| object(&machine, name, ""));
    if std::env::var_os("SWIFT_SOAK").is_none() {
        machine.drop_in("swift@.service", "[Service]\nRestartSec=100ms\n");
    }
    machine.must("install -d -o swift -g swift /run/swift && systemctl daemon-reload");
    Some(machine)
}

fn proxy(machine: &Machine, lines: &str) {
    let text = format!("[DEFAULT]\n{lines}\n");
    machine.write("/etc/swift/proxy-server.conf", &text);
}

fn object(machine: &Machine, name: &str, lines: &str) {
    let text = format!("[DEFAULT]\n{lines}\n");
    machine.write(&format!("/etc/swift/object-server/{name}.conf"), &text);
}

/// The pids in a unit's cgroup.
fn pids_of(machine: &Machine, unit: &str) -> BTreeSet<u32> {
    let cgroup = machine.property(unit, "ControlGroup");
    // The kernel shows pids as the reader's namespace has them.
    let procs = machine.must(&format!("cat /sys/fs/cgroup{cgroup}/cgroup.procs"));
    procs
        .out()
        .lines()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// The main processes of a server anywhere, each with its config: those that lead a session.
fn servers(machine: &Machine, server: &str) -> BTreeSet<(String, u32)> {
    let entries = fs::read_dir(machine.path("/proc")).unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let (name, path) = (format!("swift-{server}"), format!("/swift-{server}"));
    let one = |pid: u32| {
        let line = machine.read(&format!("/proc/{pid}/cmdline"));
        // A script stands behind its interpreter.
        let mut words = line.split('\0').take(3);
        let is_program = |word: &str| word == name || word.ends_with(&path);
        words.find(|word| is_program(word))?;
        let config = words.next()?.to_owned();
        let stat = machine.read(&format!("/proc/{pid}/stat"));
        let session = stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse();
        (session == Ok(pid)).then_some((config, pid))
    };
    pids.filter_map(one).collect()
}

/// That a unit runs, and that systemd, swift-init, the pid files and the processes say the same: one for
/// each config, in the unit. Returns their pids.
fn agree(machine: &Machine, server: &str, configs: &[&str]) -> Vec<u32> {
    let unit = format!("swift@{server}");
    machine.until_property(&unit, "ActiveState", "active");
    let status = machine.must(&format!("swift-init {server} status")).out();
    let found = servers(machine, server);
    assert_eq!(found.len(), configs.len(), "{found:?}\n{status}");
    let own = pids_of(machine, &unit);
    for (config, pid) in &found {
        let line = format!("{server} running ({pid} - {config})");
        assert!(status.contains(&line), "{line}\n{status}");
        assert!(own.contains(pid), "{pid} is not of {unit}");
    }
    assert_eq!(status.lines().count(), configs.len(), "{status}");
    found.into_iter().map(|(_, pid)| pid).collect()
}

/// That systemd and swift-init say that nothing runs, and nothing does.
fn gone(machine: &Machine, server: &str) {
    let unit = format!("swift@{server}");
    machine.until_property(&unit, "ActiveState", "inactive");
    assert_eq!(machine.property(&unit, "Result"), "success");
    assert_eq!(machine.sh(&format!("swift-init {server} status")).code(), 1);
    assert!(servers(machine, server).is_empty());
}

/// Kills what this finds of each server, and waits until systemd has brought it back.
fn comes_back(machine: &Machine, server: &str, configs: &[&str], victim: impl Fn(&Machine) -> u32) {
    let unit = format!("swift@{server}");
    let before = agree(machine, server, configs);
    let restarts: u32 = machine.property(&unit, "NRestarts").parse().unwrap();
    machine.must(&format!("kill -9 {}", victim(machine)));
    let restarts = (restarts + 1).to_string();
    machine.until_property(&unit, "NRestarts", &restarts);
    let after = agree(machine, server, configs);
    assert!(before.iter().all(|pid| !after.contains(pid)));
}

fn spawner(machine: &Machine, unit: &str) -> u32 {
    let main = machine.main_pid(unit);
    let children = machine.read(&format!("/proc/{main}/task/{main}/children"));
    children
        .trim()
        .parse()
        .expect("swift-spawn is its one child")
}

#[test]
fn whatever_is_killed_both_sides_agree() {
    let Some(machine) = machine() else { return };
    for (server, configs) in [
        ("proxy-server", &[""][..]),
        ("object-server", &CONFIGS),
        ("object-replicator", &CONFIGS),
    ] {
        let unit = format!("swift@{server}");
        machine.must(&format!("systemctl start {unit}"));
        let text = format!("{} server", configs.len());
        assert!(machine.property(&unit, "StatusText").starts_with(&text));
        let main = |machine: &Machine| machine.main_pid(&unit);
        let last = |machine: &Machine| servers(machine, server).last().unwrap().1;
        comes_back(&machine, server, configs, last);
        comes_back(&machine, server, configs, main);
        comes_back(&machine, server, configs, |machine| spawner(machine, &unit));
        machine.must(&format!("systemctl stop {unit}"));
        gone(&machine, server);
    }
    assert!(
        machine
            .journal("swift@object-server")
            .contains("was ended by SIGKILL")
    );
}

#[test]
fn a_worker_is_its_servers_to_repair() {
    let Some(machine) = machine() else { return };
    machine.must("systemctl start swift@proxy-server");
    let server = agree(&machine, "proxy-server", &[""])[0];
    let children = format!("/proc/{server}/task/{server}/children");
    let workers = || {
        let text = machine.read(&children);
        let pids = text.split_whitespace().map(str::to_owned);
        pids.collect::<Vec<String>>()
    };
    machine.until("two workers", || workers().len() == 2);
    let victim = workers().remove(0);
    machine.must(&format!("kill -9 {victim}"));
    machine.until("another worker", || {
        workers().len() == 2 && !workers().contains(&victim)
    });
    assert_eq!(agree(&machine, "proxy-server", &[""]), [server]);
    assert_eq!(machine.property("swift@proxy-server", "NRestarts"), "0");
}

#[test]
fn a_reload_keeps_what_it_reloads_in_the_unit() {
    let Some(machine) = machine() else { return };
    machine.must("systemctl start swift@proxy-server swift@object-replicator");
    let proxy_pid = agree(&machine, "proxy-server", &[""]);
    machine.must("systemctl reload swift@proxy-server");
    assert_eq!(agree(&machine, "proxy-server", &[""]), proxy_pid);
    let daemons = agree(&machine, "object-replicator", &CONFIGS);
    machine.must("systemctl reload swift@object-replicator");
    let next = agree(&machine, "object-replicator", &CONFIGS);
    assert!(daemons.iter().all(|pid| !next.contains(pid)));
    // A crash of the new one is seen.
    comes_back(&machine, "object-replicator", &CONFIGS, |_| next[1]);

    // A refused reload leaves the old one serving, of either kind.
    proxy(&machine, "check_exit = 1\ncheck_print = no such ring\\n");
    object(
        &machine,
        "2",
        "[object-replicator]\nuser = nobody-of-this-name",
    );
    let daemons = agree(&machine, "object-replicator", &CONFIGS);
    let refused = machine.sh("systemctl reload swift@proxy-server");
    assert_eq!(refused.code(), 1, "{refused}");
    let refused = machine.sh("systemctl reload swift@object-replicator");
    assert_eq!(refused.code(), 1, "{refused}");
    assert_eq!(agree(&machine, "proxy-server", &[""]), proxy_pid);
    let left = agree(&machine, "object-replicator", &CONFIGS);
    assert!(left.contains(&daemons[1]), "{left:?} {daemons:?}");
    let journal = machine.journal("swift@proxy-server");
    assert!(journal.contains("no such ring"), "{journal}");

    // One that dies in its reload comes back at once, not after TimeoutStartSec=.
    proxy(&machine, "reload = die");
    machine.must("systemctl restart swift@proxy-server");
    let died = machine.sh("systemctl reload swift@proxy-server");
    assert_eq!(died.code(), 1, "{died}");
    machine.until_property("swift@proxy-server", "NRestarts", "1");
    agree(&machine, "proxy-server", &[""]);
}

#[test]
fn a_stop_by_hand_is_no_crash() {
    let Some(machine) = machine() else { return };
    machine.must("systemctl start swift@object-server");
    let pids = agree(&machine, "object-server", &CONFIGS);
    machine.must("swift-init --force object.2 stop");
    machine.until("the other one alone", || {
        let text = machine.property("swift@object-server", "StatusText");
        text.starts_with("1 of 2 servers running; down: ")
    });
    let left = servers(&machine, "object-server");
    assert_eq!(
        left.into_iter().map(|(_, pid)| pid).collect::<Vec<_>>(),
        [pids[0]]
    );
    machine.must(&format!("kill -TERM {}", pids[0]));
    gone(&machine, "object-server");
}

/// What is restarted by force belongs to no unit, and both sides say so until it is stopped.
#[test]
fn a_restart_by_force_leaves_the_unit() {
    let Some(machine) = machine() else { return };
    machine.must("systemctl start swift@object-replicator");
    let before = agree(&machine, "object-replicator", &CONFIGS);
    machine.must("swift-init --force object-replicator restart");
    machine.until_property("swift@object-replicator", "ActiveState", "inactive");
    let after = servers(&machine, "object-replicator");
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|(_, pid)| !before.contains(pid)));
    let status = machine.must("swift-init object-replicator status").out();
    assert!(
        after
            .iter()
            .all(|(_, pid)| status.contains(&format!("({pid} - ")))
    );
    assert_eq!(
        machine.sh("systemctl start swift@object-replicator").code(),
        1
    );
    assert_eq!(servers(&machine, "object-replicator"), after);
    machine.must("swift-init object-replicator stop");
    // The start is tried again all the while.
    agree(&machine, "object-replicator", &CONFIGS);
}

#[test]
fn what_cannot_start_says_why_and_touches_nothing() {
    let Some(machine) = machine() else { return };
    let fails = |name: &str, why: &str| {
        let unit = format!("swift@{name}");
        assert_eq!(machine.sh(&format!("systemctl start {unit}")).code(), 1);
        machine.must(&format!("systemctl stop {unit}"));
        let journal = machine.journal(&unit);
        assert!(journal.contains(why), "{journal}");
    };
    fails("objct", "no such server: objct (did you mean object?)");
    fails("object.9", "no 9.conf beneath /etc/swift/object-server");
    object(&machine, "2", "exit = 3\nprint = no such ring\\n");
    fails("object-server", "no such ring");
    assert!(servers(&machine, "object-server").is_empty());
    object(&machine, "2", "");
    machine.must("setpriv --reuid swift --regid swift --clear-groups swift-init object.1 start");
    let outside = servers(&machine, "object-server");
    fails("object-server", "runs already outside this unit, pid ");
    assert_eq!(servers(&machine, "object-server"), outside);
    // One of root's, which the unit's user may not signal.
    machine.must("swift-init --force object.1 stop && swift-init object.1 start");
    fails("object.1", "runs already outside this unit, pid ");
    assert!(!machine.journal("swift@object.1").contains("no config"));
}

/// Fails when systemd's own timeout cuts a stop off, or when the unit ends before its workers have.
#[test]
fn requests_are_finished_however_short_systemds_own_timeouts() {
    let Some(machine) = machine() else { return };
    machine.write(
        "/etc/swift/swift-init.toml",
        "[defaults]\nkill_wait = 600\n",
    );
    machine.drop_in("swift@proxy-server.service", "[Service]\nTimeoutSec=1\n");
    proxy(
        &machine,
        "workers = 2\nlinger = true\nready_after = /run/gate",
    );
    machine.must("mkfifo -m 666 /run/gate && systemctl daemon-reload");
    let start = "systemctl start --no-block swift@proxy-server && sleep 2.5 && : >/run/gate";
    machine.must(start);
    let server = agree(&machine, "proxy-server", &[""])[0];
    let children = format!("/proc/{server}/task/{server}/children");
    machine.until("two workers", || {
        machine.read(&children).split_whitespace().count() == 2
    });
    let workers = machine.read(&children);
    machine.must("systemctl stop --no-block swift@proxy-server && sleep 2.5");
    for pid in workers.split_whitespace() {
        assert_eq!(
            machine.property("swift@proxy-server", "ActiveState"),
            "deactivating"
        );
        machine.must(&format!("kill -KILL {pid}"));
    }
    gone(&machine, "proxy-server");
}

/// Fails when the end of the reload that a stop cuts off is the failure of the unit.
#[test]
fn a_stop_in_a_reload_is_no_failure() {
    let Some(machine) = machine() else { return };
    let unit = "swift@proxy-server";
    machine.must("mkfifo -m 666 /run/gate");
    machine.must(&format!("systemctl start {unit}"));
    // The reload stands at its check, which no event lets go on, while the server can end.
    proxy(&machine, "check_after = /run/gate");
    for command in ["stop", "restart"] {
        machine.must(&format!("systemctl reload --no-block {unit}"));
        machine.until_property(unit, "ActiveState", "reloading");
        machine.must(&format!("systemctl {command} {unit}"));
        if command == "stop" {
            gone(&machine, "proxy-server");
            machine.must(&format!("systemctl start {unit}"));
        }
        agree(&machine, "proxy-server", &[""]);
    }
    let journal = machine.journal(unit);
    assert!(!journal.contains("Failed with result"), "{journal}");
}

#[test]
fn the_target_is_all_of_them() {
    let Some(machine) = machine() else { return };
    let all = ["proxy-server", "object-server", "object-replicator"];
    let is = |state: &str| {
        for server in all {
            machine.until_property(&format!("swift@{server}"), "ActiveState", state);
        }
    };
    machine.must("systemctl enable swift@proxy-server swift@object-server swift@object-replicator");
    machine.must("systemctl start swift.target");
    is("active");
    let before = machine.main_pid("swift@object-server");
    machine.must("systemctl restart swift.target");
    is("active");
    assert_ne!(machine.main_pid("swift@object-server"), before);
    machine.must("systemctl kill swift@object-server");
    gone(&machine, "object-server");
    machine.must("systemctl try-restart swift@object-server");
    gone(&machine, "object-server");
    machine.must("systemctl reload-or-restart swift@object-server");
    agree(&machine, "object-server", &CONFIGS);
    machine.must("systemctl stop swift.target");
    all.iter().for_each(|server| gone(&machine, server));
    // What is not disabled is started at boot, whatever else is.
    machine.must("systemctl disable swift@object-server");
    for (server, is_wanted) in [("proxy-server", true), ("object-server", false)] {
        for target in ["multi-user", "swift"] {
            let link = format!("/etc/systemd/system/{target}.target.wants/swift@{server}.service");
            let link = machine.path(&link).symlink_metadata();
            assert_eq!(link.is_ok(), is_wanted, "{target} {server}");
        }
    }
}

/// All of Swift's own servers, each kind in a unit of its own and then all in one.
#[test]
fn real_servers_and_daemons_are_the_units() {
    if std::env::var_os("SWIFT_SOAK").is_none() {
        report("not played without SWIFT_SOAK: Swift's own servers in units of swift@");
        return;
    }
    let Some((machine, address)) = Machine::boot_with_swift() else {
        return;
    };
    machine.must("install -d -o swift -g swift /run/swift");
    // Without this they log to a port that nothing reads.
    machine.must("sed -i '/^log_udp_/d' /etc/swift/object-server.conf");
    let configs = [""];
    let all = ["proxy-server", "object-server", "object-replicator"];
    for server in all {
        machine.must(&format!("systemctl start swift@{server}"));
        let before = agree(&machine, server, &configs);
        machine.must(&format!("systemctl reload swift@{server}"));
        let after = agree(&machine, server, &configs);
        // A daemon is restarted.
        assert_eq!(before == after, server.ends_with("-server"));
        let last = |machine: &Machine| servers(machine, server).last().unwrap().1;
        comes_back(&machine, server, &configs, last);
        let unit = format!("swift@{server}");
        comes_back(&machine, server, &configs, |machine| {
            machine.main_pid(&unit)
        });
        comes_back(&machine, server, &configs, |machine| {
            spawner(machine, &unit)
        });
    }
    assert_eq!(machine.get(&address, "/healthcheck"), "OK");
    let broken = "[DEFAULT]\n[pipeline:main]\npipeline = nothing\n";
    let good = machine.read("/etc/swift/proxy-server.conf");
    machine.write("/etc/swift/proxy-server.conf", broken);
    let refused = machine.sh("systemctl reload swift@proxy-server");
    assert_eq!(refused.code(), 1, "{refused}");
    assert_eq!(machine.get(&address, "/healthcheck"), "OK");
    machine.write("/etc/swift/proxy-server.conf", &good);
    for server in all {
        machine.must(&format!("systemctl stop swift@{server}"));
        gone(&machine, server);
    }
    // A journal without doubles, with Swift's own priorities.
    let notifications =
        machine.must("journalctl -q -o cat -p notice..notice -u swift@object-replicator");
    assert!(
        notifications.out().contains("SIGTERM received"),
        "{notifications}"
    );

    machine.must("systemctl start swift@main swift@rest");
    for server in [
        "proxy-server",
        "account-server",
        "container-server",
        "object-server",
    ] {
        let status = machine.must(&format!("swift-init {server} status")).out();
        let (_, pid) = servers(&machine, server).pop_first().unwrap();
        assert!(status.contains(&pid.to_string()), "{status}");
        assert!(pids_of(&machine, "swift@main").contains(&pid));
    }
    let reloaded = machine.sh("systemctl reload swift@main swift@rest");
    assert_eq!(reloaded.code(), 0, "{reloaded}\n{}", machine.states());
    machine.must("systemctl stop swift@main swift@rest");
    for unit in ["swift@main", "swift@rest"] {
        assert_eq!(machine.property(unit, "Result"), "success");
    }
}
