use super::*;
use crate::user::{self, Known};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use swift_records::reason::Reason;

const APP: &str = "[pipeline:main]\npipeline = proxy-server\n\
                   [app:proxy-server]\nuse = egg:swift#proxy\n";

/// A directory that every user may look into.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    directory
}

fn preflight(kind: Kind, config: &Path) -> Preflight {
    Preflight {
        kind,
        name: match kind {
            Kind::Server => "proxy-server".into(),
            Kind::Daemon => "object-updater".into(),
        },
        config: config.to_owned(),
        runner: Runner::own(),
        same_network: true,
        runs: true,
    }
}

/// The finding in such a config, less the path of the file.
fn found(kind: Kind, text: &str) -> Option<String> {
    let directory = directory();
    let config = directory.path().join("a.conf");
    fs::write(&config, text).unwrap();
    let finding = preflight(kind, &config).check().err()?;
    let path = config.display().to_string();
    Some(format!(
        "{} {}",
        finding.reason,
        finding.text.replace(&path, "a.conf")
    ))
}

/// The user that runs the tests.
fn me() -> String {
    let uid = nix::unistd::geteuid();
    nix::unistd::User::from_uid(uid).unwrap().unwrap().name
}

fn server(lines: &str) -> Option<String> {
    let head = format!("[DEFAULT]\nuser = {}\nbind_port = 8080\n", me());
    found(Kind::Server, &format!("{head}{lines}\n{APP}"))
}

#[test]
fn a_config_that_works_is_not_refused() {
    for lines in [
        "",
        "bind_ip = 0.0.0.0",
        "bind_ip = ::",
        "bind_ip = 127.0.0.1",
        "bind_ip = ::1",
        "bind_ip = localhost",
        "bind_ip = a.name.of.no.host.invalid",
        "workers = auto\nbacklog = 4_096\nkeep_idle = 600\nmax_clients = 1024",
        "client_timeout =\nkeepalive_timeout = 1.5\nfallocate_reserve = 1%",
        "key_file = /nonexistent",
        "log_facility = LOG_LOCAL1",
    ] {
        assert_eq!(server(lines), None, "{lines}");
    }
    // Without workers, nothing changes its user.
    let text = format!("[DEFAULT]\nuser = no-such-user\nbind_port = 8080\nworkers = 0\n{APP}");
    assert_eq!(found(Kind::Server, &text), None);
    // A config that is not Swift's is not judged here.
    assert_eq!(found(Kind::Server, ""), None);
    assert_eq!(found(Kind::Server, "user = no-such-user\n"), None);
    assert_eq!(found(Kind::Server, "[DEFAULT]\nuser = 65534\n"), None);
    assert_eq!(
        found(Kind::Server, "[DEFAULT]\n# \u{e9}\nworkers = 2\n"),
        None
    );
    assert_eq!(found(Kind::Daemon, "\n"), None);
}

#[test]
fn what_keeps_a_server_from_starting_is_named_with_its_line() {
    for (lines, what) in [
        ("workers = -1", "value a.conf:4: workers: out of range: -1"),
        (
            "backlog = many",
            "value a.conf:4: backlog: not a whole number: many",
        ),
        (
            "\nkeep_idle = 0",
            "value a.conf:5: keep_idle: out of range: 0",
        ),
        (
            "bind_timeout = 0",
            "value a.conf:4: bind_timeout: out of range: 0",
        ),
        (
            "max_clients =",
            "value a.conf:4: max_clients: not a whole number: ",
        ),
        (
            "client_timeout = x",
            "value a.conf:4: client_timeout: not a number: x",
        ),
        (
            "bind_ip = 192.0.2.1",
            "address a.conf:4: bind_ip: no address of this machine: 192.0.2.1",
        ),
        (
            "ip = 192.0.2.1\nbind_ip = %(ip)s",
            "address a.conf:5: bind_ip: no address of this machine: 192.0.2.1",
        ),
        (
            "bind_ip = 127.0.0.256",
            "address a.conf:4: bind_ip: not an address: 127.0.0.256",
        ),
        ("bind_ip =", "address a.conf:4: bind_ip: not an address: "),
        (
            "bind_ip = 127.0.0.1 ; loopback",
            "address a.conf:4: bind_ip: not an address: 127.0.0.1 ; loopback",
        ),
        (
            "max_clients = 0",
            "value a.conf:4: max_clients: out of range: 0",
        ),
        (
            "keepalive_timeout = -1",
            "value a.conf:4: keepalive_timeout: negative: -1",
        ),
        (
            "bind_ip = [::1]",
            "address a.conf:4: bind_ip: not an address: [::1]",
        ),
        (
            "cert_file = /x.pem",
            "file a.conf:4: cert_file: key_file is not set beside it",
        ),
        (
            "cert_file = /nonexistent/x.pem\nkey_file = /dev/null",
            "file a.conf:4: cert_file: /nonexistent/x.pem: No such file or directory",
        ),
    ] {
        assert_eq!(server(lines).as_deref(), Some(what), "{lines}");
    }
}

#[test]
fn a_user_and_a_port_are_named_with_their_line() {
    let of = |text: &str| found(Kind::Server, &format!("[DEFAULT]\n{text}\n{APP}")).unwrap();
    assert_eq!(
        of("user = no-such-user"),
        "user a.conf:2: user: no such user: no-such-user"
    );
    let user = format!("user = {}", me());
    assert_eq!(of(&user), "port a.conf: bind_port: not set");
    let ports = format!("{user}\nbind_port = 65536");
    assert_eq!(of(&ports), "port a.conf:3: bind_port: not a port: 65536");
    let set = format!("[DEFAULT]\n{user}\n{APP}set user = no-such-user\n");
    let what = "user a.conf:7: user: no such user: no-such-user";
    assert_eq!(found(Kind::Server, &set).as_deref(), Some(what));
    // Without `set`, [DEFAULT] wins.
    let not_set = set
        .replace("set user", "user")
        .replace("[DEFAULT]\n", "[DEFAULT]\nbind_port = 8080\n");
    assert_eq!(found(Kind::Server, &not_set), None);
}

#[test]
fn a_daemon_uses_its_own_section_and_binds_nothing() {
    let of = |text: &str| found(Kind::Daemon, text);
    let fine = format!(
        "[DEFAULT]\nuser = {}\nbind_ip = 192.0.2.1\nbacklog = x\n",
        me()
    );
    assert_eq!(
        of(&format!("{fine}[object-updater]\n[b]\nx = %(y)s\n")),
        None
    );
    assert_eq!(
        of(&format!("{fine}[object-auditor]\n")).as_deref(),
        Some("section a.conf: no section object-updater")
    );
    assert_eq!(
        of(&format!("{fine}[object-updater]\nuser = no-such-user\n")).as_deref(),
        Some("user a.conf:6: user: no such user: no-such-user")
    );
    assert_eq!(
        of(&format!("{fine}[object-updater]\nx = %(y)s\n")).as_deref(),
        Some("syntax a.conf:6: x: no key is named y")
    );
    assert_eq!(
        of("[object-updater]\nx = 1\nx = 2\n").as_deref(),
        Some("syntax a.conf:3: x stands in section object-updater before")
    );
    assert_eq!(
        of("[object-updater]\nnonsense\n").as_deref(),
        Some("syntax a.conf:2: neither an option nor a section")
    );
}

#[test]
fn a_certificate_is_a_file_in_pem_form() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("good"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    fs::write(path("bad"), "x").unwrap();
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let told = |certificate: &str| {
        let (one, good) = (path(certificate), path("good"));
        let lines = format!(
            "cert_file = {}\nkey_file = {}",
            one.display(),
            good.display()
        );
        let what = server(&lines)?;
        what.rsplit(": ").next().map(str::to_owned)
    };
    assert_eq!(told("good"), None);
    assert_eq!(told("bad").as_deref(), Some("holds nothing in PEM form"));
    assert_eq!(told("fifo").as_deref(), Some("a fifo"));
    assert_eq!(told(".").as_deref(), Some("Is a directory"));
}

#[test]
fn a_port_of_another_program_is_told_of_a_server_that_runs() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let directory = directory();
    let config = directory.path().join("a.conf");
    let text = format!(
        "[DEFAULT]\nuser = {}\nbind_ip = 127.0.0.1\nbind_port = {port}\n{APP}",
        me()
    );
    fs::write(&config, text).unwrap();
    let mut preflight = preflight(Kind::Server, &config);
    let finding = preflight.check().unwrap_err();
    let what = format!(
        "{}:4: bind_port: another program has port {port} of 127.0.0.1",
        config.display()
    );
    assert_eq!((finding.reason, finding.text), (Reason::Port, what));
    preflight.runs = false;
    assert_eq!(preflight.check(), Ok(()));
    preflight.runs = true;
    preflight.same_network = false;
    assert_eq!(preflight.check(), Ok(()));
}

#[test]
fn root_looks_with_the_eyes_of_the_workers_user() {
    if !nix::unistd::geteuid().is_root() {
        return only_root_becomes_another_user();
    }
    let Known::User(other) = user::look_up("nobody") else {
        panic!("every Linux has a user nobody");
    };
    assert_ne!(other.uid, 0);
    let directory = directory();
    let config = directory.path().join("proxy-server.conf.d");
    fs::create_dir(&config).unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        let file = config.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    };
    let swift_dir = directory.path().display();
    let head = format!("[DEFAULT]\nuser = nobody\nbind_port = 8080\nswift_dir = {swift_dir}\n");
    write("05.conf", "[DEFAULT]\nbacklog = 100\n", 0o644);
    write("10.conf", &head, 0o600);
    write("20.conf", APP, 0o644);
    let look = || preflight(Kind::Server, &config).check();
    let denied = |file: &str| {
        format!(
            "{}/{file}: Permission denied (as user nobody)",
            config.display()
        )
    };
    assert_eq!(look().unwrap_err().text, denied("10.conf"));
    write("10.conf", &head, 0o644);
    assert_eq!(look(), Ok(()));
    write("20.conf", APP, 0o600);
    assert_eq!(look().unwrap_err().text, denied("20.conf"));
    // The user nobody leaves it out as well.
    let by_other = Preflight {
        runner: Runner {
            other: Some(other.clone()),
            uid: other.uid,
            ..Runner::own()
        },
        ..preflight(Kind::Server, &config)
    };
    let text = by_other.check().unwrap_err().text;
    assert!(text.ends_with("/20.conf: Permission denied"), "{text}");
    write("20.conf", APP, 0o644);
    let ring = directory.path().join("account.ring.gz");
    fs::write(&ring, "").unwrap();
    fs::set_permissions(&ring, Permissions::from_mode(0o600)).unwrap();
    assert!(
        look()
            .unwrap_err()
            .text
            .ends_with("/account.ring.gz: Permission denied (as user nobody)")
    );
    fs::remove_file(&ring).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    let text = look().unwrap_err().text;
    assert!(
        text.ends_with("proxy-server.conf.d: Permission denied (as user nobody)"),
        "{text}"
    );
}

fn only_root_becomes_another_user() {
    let told = found(Kind::Server, "[DEFAULT]\nuser = root\n").unwrap();
    assert_eq!(told, "user a.conf:2: user: only root can become user root");
    let told = server("bind_port = 1").unwrap();
    assert!(told.ends_with("only root can bind port 1"), "{told}");
}
