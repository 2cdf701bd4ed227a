use super::*;

fn ask_sh(script: &str, timeout: Duration) -> Verdict {
    ask_in(Checks::new(timeout).unwrap(), script)
}

fn ask_in(checks: Checks, script: &str) -> Verdict {
    ask_all(checks, script, None)
}

fn ask_as(script: &str, user: Option<User>) -> Verdict {
    ask_all(Checks::new(LONG).unwrap(), script, user)
}

fn ask_all(checks: Checks, script: &str, user: Option<User>) -> Verdict {
    let args = ["sh", "-c", script].map(OsString::from).to_vec();
    let check = ConfigCheck {
        command: Some(Command {
            program: "/bin/sh".into(),
            args,
        }),
        fallback: None,
        preflight: None,
        directory: None,
        user,
        environment: None,
    };
    ask(checks, check)
}

fn ask(mut checks: Checks, check: ConfigCheck) -> Verdict {
    checks.add(7, check);
    let epoll = Epoll::new().unwrap();
    epoll.add(&checks, 0).unwrap();
    loop {
        if let Some((id, verdict)) = checks.advance().unwrap().pop() {
            assert_eq!(id, 7);
            assert!(checks.is_idle());
            return verdict;
        }
        epoll.wait(checks.deadline()).unwrap();
    }
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn the_exit_status_is_the_verdict() {
    assert_eq!(ask_sh("echo fine", LONG), Verdict::Good);
    assert_eq!(
        ask_sh("exit 2", LONG),
        Verdict::Bad(Reason::Exit(2), Vec::new())
    );
    assert_eq!(
        ask_sh("echo no; echo good >&2; exit 1", LONG),
        Verdict::Bad(Reason::Exit(1), b"no\ngood\n".to_vec())
    );
    assert_eq!(
        ask_sh("kill -9 $$", LONG),
        Verdict::Bad(Reason::Signal(9), Vec::new())
    );
}

/// The words with which optparse refuses an option, and its exit status.
const TOO_OLD: &str = "echo Usage: x CONFIG; echo 'x: error: no such option: --test-config' >&2";

#[test]
fn only_an_option_that_is_not_known_means_too_old() {
    let ask = |script: &str| ask_sh(script, LONG);
    assert_eq!(ask(&format!("{TOO_OLD}; exit 2")), Verdict::TooOld);
    // What is cut out of the text that is kept is read as well.
    let flood = "yes | head -c 100000";
    let script = format!("{flood}; {TOO_OLD}; {flood}; exit 2");
    assert_eq!(ask(&script), Verdict::TooOld);
    assert!(matches!(
        ask(&format!("{TOO_OLD}; exit 1")),
        Verdict::Bad(Reason::Exit(1), _)
    ));
    // Python and a shell whose script is gone.
    assert!(matches!(
        ask("echo \"python3: can't open file 'x': [Errno 2]\"; exit 2"),
        Verdict::Bad(Reason::Exit(2), _)
    ));
    assert!(matches!(
        ask("sh /nonexistent/x --test-config"),
        Verdict::Bad(Reason::Exit(_), _)
    ));
}

#[test]
fn where_a_server_is_too_old_swift_config_is_asked() {
    let config = tempfile::NamedTempFile::new().unwrap();
    let path = config.path().to_owned();
    let sh = |script: &str| Command {
        program: "/bin/sh".into(),
        args: [
            "sh".as_ref(),
            "-c".as_ref(),
            script.as_ref(),
            path.as_os_str(),
        ]
        .map(OsString::from)
        .to_vec(),
    };
    let ask_both = |server: &str, swift_config: &str| {
        let check = ConfigCheck {
            command: Some(sh(server)),
            fallback: Some(sh(swift_config)),
            preflight: None,
            directory: None,
            user: None,
            environment: None,
        };
        ask(Checks::new(LONG).unwrap(), check)
    };
    let too_old = format!("{TOO_OLD}; exit 2");
    assert_eq!(ask_both(&too_old, "exit 0"), Verdict::Good);
    assert_eq!(
        ask_both(&too_old, "echo secret; echo bad >&2; exit 1"),
        Verdict::Bad(Reason::Exit(1), b"bad\n".to_vec())
    );
    assert_eq!(ask_both("exit 0", "exit 1"), Verdict::Good);
    drop(config);
    assert_eq!(
        ask_both(&too_old, "exit 0"),
        Verdict::Bad(Reason::Absent, Vec::new())
    );
}

#[test]
fn swift_config_stands_beside_the_program_or_what_it_is_a_link_to() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("real")).unwrap();
    std::fs::create_dir(path("bin")).unwrap();
    std::fs::write(path("real/swift-a"), "").unwrap();
    symlink(path("real/swift-a"), path("bin/swift-a")).unwrap();
    let found = || swift_config(&path("bin/swift-a"), Path::new("/etc/a.conf"));
    assert_eq!(found(), None);
    std::fs::write(path("real/swift-config"), "").unwrap();
    assert_eq!(found(), None);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path("real/swift-config"), mode).unwrap();
    let real = directory.path().canonicalize().unwrap().join("real");
    let command = found().unwrap();
    assert_eq!(command.program, real.join("swift-config"));
    assert_eq!(command.args, ["swift-config", "-w", "/etc/a.conf"]);
}

#[test]
fn what_is_passed_on_leaves_its_verdict_empty() {
    let directory = tempfile::tempdir().unwrap();
    let relayed = |script: &str| {
        let file = |name| File::create(directory.path().join(name)).unwrap();
        let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
        let checks = Checks::new(LONG).unwrap();
        let verdict = ask_in(checks.relaying(file("out"), file("err")), script);
        (verdict, read("out"), read("err"))
    };
    assert_eq!(
        relayed("echo told; echo by the check >&2; exit 1"),
        (
            Verdict::Bad(Reason::Exit(1), Vec::new()),
            "told\n".into(),
            "by the check\n".into()
        )
    );
    assert_eq!(
        relayed(&format!("{TOO_OLD}; exit 2")),
        (Verdict::TooOld, String::new(), String::new())
    );
    assert_eq!(
        relayed("echo a warning >&2"),
        (Verdict::Good, String::new(), "a warning\n".into())
    );
}

#[test]
fn as_another_user_it_has_that_users_rights_only() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can become another user, so that is what is tested here.
        return refuses_another_user();
    }
    let user = User {
        uid: 65533,
        gid: 65532,
        groups: vec![65531, 65532],
    };
    let script = "id -u; id -g; id -G; grep Cap[EP][fr] /proc/self/status | cut -f 2; exit 1";
    assert_eq!(
        ask_as(script, Some(user)),
        Verdict::Bad(
            Reason::Exit(1),
            b"65533\n65532\n65532 65531\n0000000000000000\n0000000000000000\n".to_vec()
        )
    );
}

fn refuses_another_user() {
    let user = User {
        uid: 65533,
        gid: 65533,
        groups: Vec::new(),
    };
    let why = b"Operation not permitted".to_vec();
    assert_eq!(
        ask_as("", Some(user)),
        Verdict::Bad(Reason::ExecFailed, why)
    );
}

#[test]
fn a_child_that_holds_the_output_is_not_waited_for() {
    assert_eq!(
        ask_sh("sleep 600 & echo bad; exit 1", LONG),
        Verdict::Bad(Reason::Exit(1), b"bad\n".to_vec())
    );
}

#[test]
fn what_takes_too_long_is_killed() {
    assert_eq!(
        ask_sh("sleep 600", Duration::from_millis(1)),
        Verdict::Bad(Reason::Timeout, Vec::new())
    );
}

#[test]
fn a_missing_program_is_a_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let mut checks = Checks::new(LONG).unwrap();
    checks.add(
        1,
        ConfigCheck {
            command: Some(Command {
                program: directory.path().join("missing"),
                args: vec!["x".into()],
            }),
            fallback: None,
            preflight: None,
            directory: None,
            user: None,
            environment: None,
        },
    );
    assert_eq!(
        checks.advance().unwrap(),
        [(1, Verdict::Bad(Reason::ExecMissing, Vec::new()))]
    );
}
