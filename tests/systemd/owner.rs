//! Which servers a unit owns, and what commands by hand do with them; and what units share.

use test_helpers::Outcome;
use test_helpers::systemd::Machine;

/// A machine with the files of `make install`, two configs of an object server, and what runs them.
fn boot() -> Option<Machine> {
    let machine = Machine::boot()?;
    machine.fake_servers(&["object-server", "object-replicator"]);
    for number in [1, 2] {
        machine.write(&conf(number), "[DEFAULT]\n");
    }
    let install = |place: &str, text: &str| machine.write(&format!("/usr/local/lib/{place}"), text);
    install(
        "sysusers.d/swift-init.conf",
        include_str!("../../shared/installed/sysusers.d/swift-init.conf"),
    );
    install(
        "tmpfiles.d/swift-init.conf",
        include_str!("../../shared/installed/tmpfiles.d/swift-init.conf"),
    );
    install(
        "sysctl.d/50-swift-init.conf",
        include_str!("../../shared/installed/sysctl.d/50-swift-init.conf"),
    );
    machine.must("systemd-sysusers swift-init.conf && systemd-tmpfiles --create swift-init.conf");
    Some(machine)
}

fn conf(number: u32) -> String {
    format!("/etc/swift/object-server/{number}.conf")
}

/// What the pid file of a server holds; nothing when there is none.
fn pid(machine: &Machine, name: &str) -> String {
    machine.read(&format!("/run/swift/{name}.pid"))
}

/// Runs swift-init by hand.
fn init(machine: &Machine, words: &str) -> Outcome {
    machine.sh(&format!("swift-init --no-check {words}"))
}

/// Starts a unit and waits until its server runs.
fn start(machine: &Machine, unit: &str, name: &str) {
    machine.must(&format!("systemctl start {unit}"));
    machine.until(&format!("{name} of {unit}"), || {
        init(machine, &format!("{name} status")).code() == 0
    });
}

/// What standard error says of a server that its unit owns.
fn refusal(server: &str, pid: &str, unit: &str, then: &str) -> String {
    let config = conf(2);
    let unchecked = match then {
        "restart" => " (it checks no config)",
        _ => "",
    };
    format!(
        "swift-init: {server} ({config}): left alone: {unit}.service owns pid {pid}: \
         use systemctl {then} {unit}.service{unchecked}, or --force\n"
    )
}

#[test]
fn what_a_unit_owns_is_left_alone_by_hand() {
    let Some(machine) = boot() else { return };
    start(&machine, "swift@object.2", "object.2");
    start(&machine, "swift@object-replicator.2", "object-replicator.2");
    let owned = pid(&machine, "object-server/2");
    let daemon = pid(&machine, "object-replicator/2");
    for (command, then) in [
        ("stop", "stop"),
        ("shutdown", "stop"),
        ("kill", "stop"),
        ("restart", "restart"),
        ("reload", "reload"),
        ("force-reload", "reload"),
    ] {
        if pid(&machine, "object-server/1").is_empty() {
            machine.must("swift-init --no-check object.1 start");
        }
        let by_hand = pid(&machine, "object-server/1");
        let outcome = init(&machine, &format!("object {command}"));
        let said = refusal("object-server", &owned, "swift@object.2", then);
        assert_eq!((outcome.code(), outcome.err()), (1, said), "{command}");
        assert!(
            !outcome.out().contains(&format!("pid: {owned} ")),
            "{outcome}"
        );
        assert_eq!(pid(&machine, "object-server/2"), owned, "{command}");
        let others = pid(&machine, "object-server/1");
        assert_eq!(others.is_empty(), then == "stop", "{command}: {outcome}");
        assert_ne!(others, by_hand, "{command}: {outcome}");
    }
    let status = init(&machine, "object.2 status");
    let runs = format!("object-server running ({owned} - {})\n", conf(2));
    assert_eq!(
        (status.code(), status.out(), status.err()),
        (0, runs, String::new())
    );

    // What keeps its pid is reloaded; a daemon would be started again elsewhere.
    let reload = init(&machine, "object.2 object-replicator.2 reload-seamless");
    let said = refusal(
        "object-replicator",
        &daemon,
        "swift@object-replicator.2",
        "reload",
    );
    assert_eq!((reload.code(), reload.err()), (1, said));
    assert!(
        reload.out().contains(&format!("pid: {owned}  signal: 10")),
        "{reload}"
    );
    // The unit's own commands are not refused to it.
    machine.must("systemctl reload swift@object.2");
    assert_eq!(pid(&machine, "object-server/2"), owned);
    assert_eq!(machine.property("swift@object.2", "ActiveState"), "active");

    let forced = init(&machine, "--force object.2 stop");
    assert_eq!(
        (forced.code(), forced.err()),
        (0, String::new()),
        "{forced}"
    );
    machine.until_property("swift@object.2", "ActiveState", "inactive");
    start(&machine, "swift@object.2", "object.2");
    machine.must("systemctl stop swift@object.2");
    assert_eq!(pid(&machine, "object-server/2"), "");
}

/// Each is started in the control group of a service that does not run it, and is stopped from outside.
#[test]
fn what_a_service_has_only_started_is_stopped_by_hand() {
    let Some(machine) = boot() else { return };
    let service = |name: &str, lines: &str| {
        machine.write(
            &format!("/etc/systemd/system/{name}.service"),
            &format!("[Service]\n{lines}\n"),
        );
    };
    let starts = "/usr/bin/swift-init --no-check object.1 start";
    // A CI agent, or whatever else runs what it is told.
    service(
        "agent",
        "ExecStart=/bin/sh -c 'exec 3<>/run/jobs; while read -r job <&3; do sh -c \"$job\"; done'\n\
         KillMode=process",
    );
    // What cron has started does not know what systemd has executed.
    service(
        "cron",
        "ExecStart=/bin/sh -c 'exec 3<>/run/crontab; while read -r job <&3; do env -i PATH=/usr/bin sh -c \"$job\"; done'",
    );
    service(
        "once",
        &format!("Type=oneshot\nRemainAfterExit=yes\nExecStart={starts}"),
    );
    service(
        "forking",
        &format!("Type=forking\nRemainAfterExit=yes\nGuessMainPID=no\nExecStart={starts}"),
    );
    machine.program(
        "/etc/init.d/sysv",
        &format!(
            "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: sysv\n# Required-Start:\n# Required-Stop:\n\
             # Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n\
             case $1 in start) {starts} ;; esac\n"
        ),
    );
    machine
        .must("mkfifo /run/jobs /run/crontab; systemctl daemon-reload; systemctl start agent cron");
    for (what, how) in [
        ("agent", format!("echo '{starts}' >/run/jobs")),
        (
            "agent",
            format!(
                "echo '{starts}' >/run/jobs; until [ -e /run/swift/object-server/1.pid ]; do sleep 0.02; done; systemctl restart agent"
            ),
        ),
        ("cron", format!("echo '{starts}' >/run/crontab")),
        ("once", "systemctl start once".to_owned()),
        ("forking", "systemctl start forking".to_owned()),
        ("sysv", "systemctl start sysv".to_owned()),
    ] {
        machine.must(&how);
        machine.until(what, || init(&machine, "object.1 status").code() == 0);
        let server = pid(&machine, "object-server/1");
        let cgroup = machine.read(&format!("/proc/{server}/cgroup"));
        assert!(
            cgroup.contains(&format!("/{what}.service")),
            "{what}: {cgroup}"
        );
        let stopped = init(&machine, "object.1 stop");
        assert_eq!(
            (stopped.code(), stopped.err()),
            (0, String::new()),
            "{what}: {stopped}"
        );
    }
    // In a scope nothing runs but what was started by hand.
    machine.must(&format!("systemd-run --quiet --scope {starts}"));
    machine.must("swift-init object.1 restart --no-check && swift-init object.1 stop");
}

/// The directory and the user are there after a boot, whoever was first there before, and a unit that
/// ends leaves what is not its own.
#[test]
fn a_unit_that_ends_removes_no_pid_file_of_another() {
    let Some(machine) = boot() else { return };
    let owner = || machine.must("stat -c '%U:%G %a' /run/swift").out();
    assert_eq!(owner(), "swift:swift 755\n");
    machine.must("/usr/lib/systemd/systemd-sysctl /usr/local/lib/sysctl.d/50-swift-init.conf");
    // What /proc/sys/net shows is that of the reader's network; older kernels have no such file.
    let migrates = machine.sh("cat /proc/sys/net/ipv4/tcp_migrate_req").out();
    assert!(["1\n", ""].contains(&migrates.as_str()), "{migrates}");

    // By root's hand, a directory is made in which the unit's user has to write.
    machine.must("swift-init --no-check object.1 start");
    start(&machine, "swift@object.2", "object.2");
    let (by_hand, owned) = (
        pid(&machine, "object-server/1"),
        pid(&machine, "object-server/2"),
    );
    crate::hello::install(&machine, &[]);
    machine.must(&format!("systemctl start {}", crate::hello::UNIT));
    assert_eq!(owner(), "swift:swift 755\n");
    machine.must(&format!("systemctl stop {}", crate::hello::UNIT));
    assert_eq!(owner(), "swift:swift 755\n");
    assert_eq!(pid(&machine, "object-server/2"), owned);
    machine.must("systemctl stop swift@object.2");
    assert_eq!(owner(), "swift:swift 755\n");
    assert_eq!(
        (
            pid(&machine, "object-server/1"),
            pid(&machine, "object-server/2")
        ),
        (by_hand, String::new())
    );

    // The user of the units sees what root has started, and may not stop it.
    let swift = "setpriv --reuid swift --regid swift --init-groups swift-init object.1";
    let status = machine.must(&format!("{swift} status"));
    assert_eq!(status.err(), "");
    assert_eq!(machine.sh(&format!("{swift} stop")).code(), 1);
    machine.must("swift-init object.1 stop; rm -r /run/swift; systemd-tmpfiles --create --boot swift-init.conf");
    assert_eq!(owner(), "swift:swift 755\n");
}

/// One of Debian's units, which executes the server: a stop takes the run directory from all. The manual's
/// drop-ins keep it, and give the server a pid file.
#[test]
fn debians_units_keep_the_run_directory_and_have_pid_files_by_a_drop_in() {
    let Some(machine) = boot() else { return };
    machine.write(
        "/etc/systemd/system/swift-object@.service",
        "[Service]\nUser=swift\nGroup=swift\nRuntimeDirectory=swift lock/swift\n\
         ExecStart=/usr/bin/swift-object-server /etc/swift/object-server/%i.conf\n",
    );
    let drop_in = |path: &str| {
        let page = include_str!("../../man/swift-systemd.7");
        let begin = page.find(&format!("# {path}\n")).expect("a drop-in");
        let text = page[begin..].split(".Ed").next().expect("its text");
        machine.write(path, text);
        machine.must("systemctl daemon-reload");
    };
    drop_in("/etc/systemd/system/swift-.service.d/run.conf");
    start(&machine, "swift@object.2", "object.2");
    let owned = pid(&machine, "object-server/2");
    machine.must("systemctl start swift-object@1");
    assert_eq!(init(&machine, "object.1 status").code(), 1);
    machine.must("systemctl stop swift-object@1");
    assert_eq!(pid(&machine, "object-server/2"), owned);

    drop_in("/etc/systemd/system/swift-object@.service.d/swift-init.conf");
    machine.must("systemctl start swift-object@1");
    let refused = init(&machine, "object.1 restart");
    assert!(
        refused
            .err()
            .contains("systemctl restart swift-object@1.service"),
        "{refused}"
    );
    machine.must("systemctl reload swift-object@1 && systemctl stop swift-object@1");
    assert_eq!(pid(&machine, "object-server/1"), "");
    assert_eq!(pid(&machine, "object-server/2"), owned);
}
