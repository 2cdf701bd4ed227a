//! Pid files: what one holds, and what that is worth.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::process::{Identity, Pid, Process, may_be_signalled_by};
use crate::rundir::RunDir;
use crate::user;
use swift_records::instance::{self, Instance, PidPath};
use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_sys::error::reason_of;
use swift_sys::failpoint;
use swift_sys::{beneath, fd};

/// What is larger is no pid file.
pub const MAX_SIZE: usize = 64;

/// What lies in a pid file's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Absent,
    /// A process's number.
    Number(Pid),
    /// Something that is no process's number.
    Invalid,
    /// Something that is no pid file, or that may not be read; the text says why.
    Unreadable(String),
}

/// A look at a pid file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it holds.
    pub content: Content,
    /// Whether anybody may write into it.
    pub world_writable: bool,
    /// The user whose file it is, where it is one.
    pub owner: Option<u32>,
}

/// Reads the pid file at a path beneath the run directory, or beneath a folder
/// of it that is open.
pub fn read(dir: &impl AsFd, path: &Path) -> Look {
    let mut look = Look {
        content: Content::Absent,
        world_writable: false,
        owner: None,
    };
    look.content = match read_content(dir, path, &mut look) {
        Ok(content) => content,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Content::Absent,
        Err(e) => Content::Unreadable(unreadable(&e)),
    };
    look
}

/// An error in a person's words: openat2 reports a link that it refused to
/// follow, a socket and an escape by numbers that say little.
fn unreadable(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ELOOP) => "a symbolic link".into(),
        Some(libc::ENXIO) => "a socket or a device".into(),
        Some(libc::EXDEV) => "leads out of the run directory".into(),
        _ => reason_of(error),
    }
}

fn read_content(dir: &impl AsFd, path: &Path, look: &mut Look) -> io::Result<Content> {
    let file = beneath::open_file(dir, path)?;
    let status = beneath::status(&file)?;
    let what = match status.st_mode & libc::S_IFMT {
        libc::S_IFREG if status.st_size as usize > MAX_SIZE => "longer than 64 bytes",
        libc::S_IFREG => "",
        libc::S_IFDIR => "a directory",
        libc::S_IFIFO => "a fifo",
        _ => "not a regular file",
    };
    if !what.is_empty() {
        return Ok(Content::Unreadable(what.into()));
    }
    look.world_writable = status.st_mode & 0o002 != 0;
    look.owner = Some(status.st_uid);
    let mut bytes = [0; MAX_SIZE + 1];
    let mut length = 0;
    while length < bytes.len() {
        let room = bytes.len() - length;
        let n = fd::read(&file, &mut bytes[length..])?;
        length += n;
        // Of a regular file, what does not fill the room was the last.
        if n < room {
            break;
        }
    }
    if length > MAX_SIZE {
        return Ok(Content::Unreadable("longer than 64 bytes".into()));
    }
    Ok(Pid::parse(bytes[..length].trim_ascii()).map_or(Content::Invalid, Content::Number))
}

/// What a pid file says, and whether it is true.
#[derive(Debug)]
pub enum Finding {
    /// Nothing runs, for that reason; the number is the one in the file.
    Stopped(Reason, Option<Pid>),
    /// It is no pid file, or may not be read; the text says why. What runs is
    /// not known, so nothing may be started in its place.
    Unreadable(String),
    /// The process is being started.
    Starting(Pid),
    /// The process runs the server's program with another config. Its pid file
    /// is never removed or replaced: the config that was asked for may be the
    /// wrong one.
    WrongConfig {
        /// The process.
        process: Process,
        /// The config with which it runs.
        config: PathBuf,
    },
    /// The server runs, and was proven to be it.
    Running {
        /// The process.
        process: Process,
        /// Whether it may be signalled.
        permitted: bool,
    },
}

impl Finding {
    /// Whether this is a pid file that lies, and may be removed or replaced.
    pub fn is_stale(&self) -> bool {
        matches!(
            self,
            Finding::Stopped(Reason::Stale | Reason::Invalid | Reason::WrongProcess, _)
        )
    }
}

/// Compares the process that a pid file names with the instance whose file it is.
pub fn verify(look: &Look, instance: &Instance) -> io::Result<Finding> {
    let pid = match &look.content {
        Content::Absent => return Ok(Finding::Stopped(Reason::Absent, None)),
        Content::Invalid => return Ok(Finding::Stopped(Reason::Invalid, None)),
        Content::Unreadable(why) => return Ok(Finding::Unreadable(why.clone())),
        Content::Number(pid) => *pid,
    };
    failpoint::at("pid-file-read");
    let process = match prove(pid, instance)? {
        Ok(process) => process,
        Err(finding) => return Ok(finding),
    };
    let foreign = foreign(look, pid)?;
    Ok(match (process.may_signal()?, foreign) {
        // It ended meanwhile, and what was seen may have been its successor.
        (None, _) => Finding::Stopped(Reason::Stale, Some(pid)),
        (Some(_), Some(why)) => Finding::Unreadable(why),
        (Some(permitted), None) => Finding::Running { process, permitted },
    })
}

/// Opens the process that has this pid now and proves that it is the server of an instance; or else what
/// was found instead, which is never [`Finding::Running`].
pub fn prove(pid: Pid, instance: &Instance) -> io::Result<Result<Process, Finding>> {
    let stopped = |reason| Ok(Err(Finding::Stopped(reason, Some(pid))));
    let Some(process) = Process::open(pid)? else {
        return stopped(Reason::Stale);
    };
    failpoint::at("process-opened");
    let identity = process.classify(instance)?;
    failpoint::at("process-looked-at");
    match identity {
        Identity::Gone => stopped(Reason::Stale),
        Identity::Mismatch => stopped(Reason::WrongProcess),
        Identity::Starting => Ok(Err(Finding::Starting(pid))),
        Identity::OtherConfig(config) => match mismatch(&process, &config, instance)? {
            Some(reason) => stopped(reason),
            None => Ok(Err(Finding::WrongConfig { process, config })),
        },
        Identity::Server => Ok(Ok(process)),
    }
}

/// The reason why root must not act on what a pid file of another user names;
/// none when it may. The user of the run directory can write any pid, and root
/// may signal any process: so a user's pid file counts only for a process that
/// this user could signal as well, by the rule of kill(2). Root's own files
/// count for all, since it starts servers that change their user themselves.
fn foreign(look: &Look, pid: Pid) -> io::Result<Option<String>> {
    let Some(owner) = look.owner.filter(|owner| *owner != 0 && user::is_root()) else {
        return Ok(None);
    };
    Ok(match may_be_signalled_by(pid, owner)? {
        Some(false) => Some(format!(
            "user {owner}, whose file it is, may not signal {pid}"
        )),
        _ => None,
    })
}

/// The reason why a process that runs the server's program with another config
/// is none of this pid file's; none when the file may well mean it. A pid that
/// an old file kept and a sibling has by now is in the sibling's own pid file.
fn mismatch(process: &Process, config: &Path, instance: &Instance) -> io::Result<Option<Reason>> {
    let PidPath { run_dir, beneath } = instance.pid_path;
    let others = instance::pid_files(instance.server, config);
    let mut others = others.iter().filter(|path| *path != beneath);
    if let Some(run_dir) = RunDir::open(run_dir)?
        && others.any(|path| read(&run_dir, path).content == Content::Number(process.pid))
    {
        return Ok(Some(Reason::WrongProcess));
    }
    // What was seen may have been the process that has its pid now.
    Ok(process.has_ended()?.then_some(Reason::Stale))
}

/// The message about a row whose process runs its program with another config.
pub fn wrong_config(row: &Row, pid: Pid, other: &Path) -> String {
    let shown = |path: &Option<PathBuf>| path.as_deref().map(|path| path.display().to_string());
    format!(
        "{} ({}): {pid} runs with {}, not {}",
        shown(&row.pidfile).unwrap_or_default(),
        row.server,
        other.display(),
        shown(&row.config).unwrap_or_default(),
    )
}

/// Removes a pid file if it still holds what was found. To be called under the
/// run directory's lock. `false` when it holds something else by now.
pub fn remove_if(run_dir: &RunDir, path: &Path, content: &Content) -> io::Result<bool> {
    match read(run_dir, path).content {
        Content::Absent => Ok(true),
        Content::Unreadable(_) => Ok(false),
        now if now == *content => {
            failpoint::at("pid-file-compared");
            let (folder, name) = open_folder(run_dir, path)?;
            beneath::unlink(&folder, &CString::new(name.as_bytes())?)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Opens the folder of a pid file, and gives the file's name in it.
pub fn open_folder<'a>(run_dir: &RunDir, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let folder = beneath::open_dir(run_dir, parent.unwrap_or(Path::new(".")))?;
    Ok((folder, name))
}

/// Puts a number into a pid file that is there, all at once. To be called under
/// the run directory's lock.
pub fn replace(run_dir: &RunDir, path: &Path, pid: Pid) -> io::Result<()> {
    let (folder, name) = open_folder(run_dir, path)?;
    beneath::replace_file(&folder, Path::new(name), pid.to_string().as_bytes())
}

/// Inspects a pid file again and removes it if it is stale or invalid. To be called under the run
/// directory's lock. `ended` is a process that is thought to have ended: a file that holds a
/// zombie's pid is stale, and /proc need not be asked. `false` when the file tells the truth, or is
/// none.
pub fn remove_if_stale(
    run_dir: &RunDir,
    instance: &Instance,
    ended: Option<&Process>,
) -> io::Result<bool> {
    let (directory, name) = match open_folder(run_dir, &instance.pid_path.beneath) {
        Ok(opened) => opened,
        Err(e) if is_no_directory(&e) => return Ok(false),
        Err(e) => return Err(e),
    };
    let look = read(&directory, Path::new(name));
    failpoint::at("pid-file-read-again");
    let is_that = |process: &&Process| look.content == Content::Number(process.pid);
    let is_stale = match ended.filter(is_that) {
        Some(process) if process.is_zombie()? => true,
        _ => verify(&look, instance)?.is_stale(),
    };
    if is_stale {
        failpoint::at("pid-file-judged");
        beneath::unlink(&directory, &CString::new(name.as_bytes())?)?;
    }
    Ok(is_stale)
}

/// Whether an error of opening a directory says that there is none, or a link in its
/// place, and so no pid file.
fn is_no_directory(error: &io::Error) -> bool {
    let absent = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::EXDEV];
    error.raw_os_error().is_some_and(|e| absent.contains(&e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use swift_records::catalogue::Server;
    use swift_sys::both_ways::both_ways;

    fn look(make: impl FnOnce(&Path)) -> Look {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("a.pid"));
        read(
            &RunDir::open(folder.path()).unwrap().unwrap(),
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
    fn a_folder_that_is_a_link_leads_nowhere() {
        both_ways(|| {
            let folder = tempfile::tempdir().unwrap();
            let outside = tempfile::tempdir().unwrap();
            std::fs::write(outside.path().join("a.pid"), "4711").unwrap();
            std::os::unix::fs::symlink(outside.path(), folder.path().join("object-server"))
                .unwrap();
            let run_dir = RunDir::open(folder.path()).unwrap().unwrap();
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
            let folder = tempfile::tempdir().unwrap();
            let run_dir = RunDir::open(folder.path()).unwrap().unwrap();
            std::fs::write(folder.path().join("a.pid"), "2").unwrap();
            let one = Content::Number(Pid::new(1).unwrap());
            let two = Content::Number(Pid::new(2).unwrap());
            assert!(!remove_if(&run_dir, Path::new("a.pid"), &one).unwrap());
            assert!(remove_if(&run_dir, Path::new("a.pid"), &two).unwrap());
            assert!(!folder.path().join("a.pid").exists());
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
            let folder = tempfile::tempdir().unwrap();
            let run_dir = RunDir::open(folder.path()).unwrap().unwrap();
            let (path, config) = (folder.path().join("1.pid"), folder.path().join("1.conf"));
            nix::unistd::mkfifo(&config, nix::sys::stat::Mode::S_IRUSR).unwrap();
            let opened = |child: &Ends| {
                let pid = Pid::new(child.0.id() as i32).unwrap();
                Process::open(pid).unwrap().unwrap()
            };
            let mut dead = Ends(Command::new("true").spawn().unwrap());
            let zombie = opened(&dead);
            fd::wait_readable(&zombie).unwrap();
            // It waits for somebody to write into its config.
            let mut server = Command::new("sh");
            server.arg0("swift-a").arg(&config).stdout(Stdio::null());
            let server = Ends(server.spawn().unwrap());
            let running = opened(&server);
            let instance = Instance {
                server: &Server::unlisted("a"),
                config: &config,
                pid_path: &PidPath {
                    run_dir: folder.path().into(),
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
    fn this_process_is_a_stranger_to_every_row() {
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
}
