use std::path::Path;

use super::*;
use crate::process::{Pid, Process};
use crate::rundir::RunDir;
use swift_records::instance::{Instance, PidPath};
use swift_records::reason::Reason;
use swift_sys::fd;

use std::os::unix::fs::PermissionsExt as _;
use swift_records::catalogue::Server;
use swift_sys::both_ways::both_ways;

fn look(make: impl FnOnce(&Path)) -> Look {
    let directory = tempfile::tempdir().unwrap();
    make(&directory.path().join("a.pid"));
    read(
        &RunDir::open(directory.path()).unwrap().unwrap(),
        Path::new("a.pid"),
    )
}

fn content(bytes: &[u8]) -> Content {
    look(|path| std::fs::write(path, bytes).unwrap()).content
}

#[test]
fn a_number_is_a_number_and_nothing_else_is() {
    both_ways(|| {
        let pid = |n| Content::Number(Pid::new(n).unwrap());
        assert_eq!(content(b"4711"), pid(4711));
        assert_eq!(content(b" 4711\n"), pid(4711));
        for bad in [
            &b""[..],
            b"\n",
            b"0",
            b"-4711",
            b"47 11",
            b"0x10",
            b"47114711471147114711",
            b"\xff\xfe",
            b"pid",
        ] {
            assert_eq!(content(bad), Content::Invalid, "{bad:?}");
        }
    });
}

#[test]
fn what_is_no_pid_file_says_what_it_is() {
    both_ways(|| {
        use nix::sys::stat::Mode;
        let why = |why: &str| Content::Unreadable(why.into());
        assert_eq!(content(&[b'1'; 65]), why("longer than 64 bytes"));
        assert_eq!(
            look(|p| std::fs::create_dir(p).unwrap()).content,
            why("a directory")
        );
        assert_eq!(
            look(|p| nix::unistd::mkfifo(p, Mode::S_IRUSR).unwrap()).content,
            why("a fifo")
        );
        assert_eq!(
            look(|p| std::os::unix::fs::symlink("/etc/passwd", p).unwrap()).content,
            why("a symbolic link")
        );
        assert_eq!(
            look(|p| drop(std::os::unix::net::UnixListener::bind(p).unwrap())).content,
            why("a socket or a device")
        );
        assert_eq!(look(|_| {}).content, Content::Absent);
    });
}

#[test]
fn a_world_writable_file_is_noticed() {
    both_ways(|| {
        let seen = look(|path| {
            std::fs::write(path, "1").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        });
        assert!(seen.world_writable);
    });
}

#[test]
fn a_directory_that_is_a_link_leads_nowhere() {
    both_ways(|| {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("a.pid"), "4711").unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join("object-server")).unwrap();
        let run_dir = RunDir::open(directory.path()).unwrap().unwrap();
        let path = Path::new("object-server/a.pid");
        assert_eq!(
            read(&run_dir, path).content,
            Content::Unreadable("a symbolic link".into())
        );
        assert!(
            remove_if(&run_dir, path, &Content::Number(Pid::new(4711).unwrap()))
                .is_ok_and(|removed| !removed)
        );
        assert!(outside.path().join("a.pid").exists());
    });
}

#[test]
fn only_what_was_seen_is_removed() {
    both_ways(|| {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = RunDir::open(directory.path()).unwrap().unwrap();
        std::fs::write(directory.path().join("a.pid"), "2").unwrap();
        let one = Content::Number(Pid::new(1).unwrap());
        let two = Content::Number(Pid::new(2).unwrap());
        assert!(!remove_if(&run_dir, Path::new("a.pid"), &one).unwrap());
        assert!(remove_if(&run_dir, Path::new("a.pid"), &two).unwrap());
        assert!(!directory.path().join("a.pid").exists());
    });
}

/// Fails when what was said to have ended is believed: when it runs, when the file is another's by
/// now, and when there is none.
#[test]
fn only_a_zombies_own_pid_file_lies_unseen() {
    both_ways(|| {
        use std::os::unix::process::CommandExt as _;
        use std::process::{Child, Command, Stdio};
        struct Ends(Child);
        impl Drop for Ends {
            fn drop(&mut self) {
                let _ = self.0.kill().and_then(|()| self.0.wait());
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let run_dir = RunDir::open(directory.path()).unwrap().unwrap();
        let (path, config) = (
            directory.path().join("1.pid"),
            directory.path().join("1.conf"),
        );
        nix::unistd::mkfifo(&config, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let opened = |child: &Ends| {
            let pid = Pid::new(child.0.id() as i32).unwrap();
            Process::open(pid).unwrap().unwrap()
        };
        let mut dead = Ends(Command::new("true").spawn().unwrap());
        let zombie = opened(&dead);
        fd::wait_readable(&zombie).unwrap();
        // It waits for a writer of its config.
        let mut server = Command::new("sh");
        server.arg0("swift-a").arg(&config).stdout(Stdio::null());
        let server = Ends(server.spawn().unwrap());
        let running = opened(&server);
        let instance = Instance {
            server: &Server::unlisted("a"),
            config: &config,
            pid_path: &PidPath {
                run_dir: directory.path().into(),
                beneath: "1.pid".into(),
            },
        };
        let remove = |held: Option<&Process>, ended: Option<&Process>| {
            if let Some(process) = held {
                std::fs::write(&path, process.pid.to_string()).unwrap();
            }
            let removed = remove_if_stale(&run_dir, &instance, ended).unwrap();
            (removed, path.exists())
        };
        assert!(zombie.is_zombie().unwrap() && !running.is_zombie().unwrap());
        assert_eq!(remove(Some(&zombie), Some(&zombie)), (true, false));
        assert_eq!(remove(Some(&zombie), None), (true, false));
        assert_eq!(remove(None, Some(&zombie)), (false, false));
        assert_eq!(remove(Some(&running), Some(&zombie)), (false, true));
        assert_eq!(remove(Some(&running), Some(&running)), (false, true));
        dead.0.wait().unwrap();
        assert!(!zombie.is_zombie().unwrap());
        assert_eq!(remove(Some(&zombie), Some(&zombie)), (true, false));
    });
}

#[test]
fn this_process_matches_no_row() {
    let me = Look {
        content: Content::Number(Pid::own()),
        world_writable: false,
        owner: None,
    };
    let instance = Instance {
        server: &Server::unlisted("object-server"),
        config: "/x".as_ref(),
        pid_path: &PidPath {
            run_dir: "/".into(),
            beneath: "x.pid".into(),
        },
    };
    let finding = verify(&me, &instance).unwrap();
    assert!(matches!(
        finding,
        Finding::Stopped(Reason::WrongProcess, Some(_))
    ));
    assert!(finding.is_stale());
}
