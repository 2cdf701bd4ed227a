//! The service unit of systemd to which a process belongs, and whether that unit
//! owns it.
//!
//! systemd runs each service in a control group of the unit's name, so
//! /proc/PID/cgroup (cgroups(7)) names it. That alone proves little: a server that
//! was started from cron, or from a job of a CI agent, is in the group of that
//! service and does not end with it. A unit owns a server when the unit's main
//! process is the server, or the swift-init that runs it: then systemd notices
//! the server's end. The main process is known by SYSTEMD_EXEC_PID, which systemd
//! 248 and later put into the environment of what they execute (systemd.exec(5)).

use std::io;
use std::sync::OnceLock;

use super::stat::{read_proc, stat};
use super::tag::Environment;
use swift_sys::pid::Pid;

/// The variable that holds the pid of the process which systemd has executed.
const EXEC_PID: &str = "SYSTEMD_EXEC_PID";

/// The programs that a service may run to start its servers: the name as /proc/PID/comm
/// has it, which is that of a script as well.
const RUNNER: &[u8] = b"swift-init\n";

/// How many processes are looked at, from the server upwards. Between it and the
/// main process of its unit stands swift-spawn.
const ANCESTORS: usize = 8;

/// The longest name of a unit, `UNIT_NAME_MAX` of systemd.
const NAME_MAX: usize = 255;

/// A service unit, of the system's manager or of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The name, such as `swift@object.2.service`.
    pub name: String,
    /// The user whose service manager it is; none for the system's.
    pub user: Option<u32>,
}

impl Unit {
    /// The words that name it to systemctl(1) when this user calls it. The name is
    /// the last one.
    pub fn words(&self, caller: u32) -> String {
        match self.user {
            Some(user) if user == caller => format!("--user {}", self.name),
            Some(user) => format!("--user --machine={user}@ {}", self.name),
            None => self.name.clone(),
        }
    }

    /// The service of a process; none when it is in none, or has ended.
    pub fn of(pid: Pid) -> io::Result<Option<Unit>> {
        Ok(read_proc(pid, "cgroup")?.and_then(|text| Unit::parse(&text)))
    }

    /// The service that owns a process; none when there is none, when that is
    /// this process's own, or when the environment of the process may not be read.
    pub fn owner(pid: Pid) -> io::Result<Option<Unit>> {
        let Some(unit) = Unit::of(pid)? else {
            return Ok(None);
        };
        if own_unit()?.as_ref() == Some(&unit) {
            return Ok(None);
        }
        Ok(unit.runs(pid)?.then_some(unit))
    }

    /// True when its main process is the server, or a swift-init above it.
    fn runs(&self, server: Pid) -> io::Result<bool> {
        let mut pid = server;
        for _ in 0..ANCESTORS {
            let may_be_main = pid == server || read_proc(pid, "comm")?.as_deref() == Some(RUNNER);
            if may_be_main && is_main_process(pid)? {
                return Ok(Unit::of(pid)?.as_ref() == Some(self));
            }
            match stat(pid)?.and_then(|stat| Pid::new(stat.parent)) {
                Some(parent) => pid = parent,
                None => break,
            }
        }
        Ok(false)
    }

    /// Reads /proc/PID/cgroup: `0::PATH` for version 2, `N:name=systemd:PATH` where
    /// systemd keeps its groups in a hierarchy of version 1.
    pub fn parse(cgroup: &[u8]) -> Option<Unit> {
        let text = String::from_utf8_lossy(cgroup);
        let path = |prefix| {
            text.split('\n').find_map(|line| {
                let (number, path) = line.split_once(':')?;
                number.parse::<u32>().ok()?;
                path.strip_prefix(prefix)
            })
        };
        let unified = path(":").and_then(of_path);
        unified.or_else(|| path("name=systemd:").and_then(of_path))
    }
}

/// True when systemd has executed this process itself, as its environment says; not
/// when that may not be read. Another value is that of a process above it.
fn is_main_process(pid: Pid) -> io::Result<bool> {
    let environment = match Environment::read(pid) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        environment => environment?,
    };
    let executed = environment.as_ref().and_then(|all| all.value(EXEC_PID));
    let executed = executed.and_then(|value| Pid::parse(value.as_os_str().as_encoded_bytes()));
    Ok(executed == Some(pid))
}

/// The service of this process, which does not change: it is read once for all rows.
fn own_unit() -> io::Result<&'static Option<Unit>> {
    static OWN: OnceLock<Option<Unit>> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let own = Unit::of(Pid::own())?;
    Ok(OWN.get_or_init(|| own))
}

/// The service that a control group belongs to, by the rules of systemd's
/// cg_path_get_unit and cg_path_get_user_unit (src/basic/cgroup-util.c): slices
/// lead to it, and what is beneath it is delegated to it.
///
/// None of a path that begins above what this process sees (`/../`,
/// cgroup_namespaces(7)): its first components are not known.
fn of_path(path: &str) -> Option<Unit> {
    let path = path.strip_prefix('/')?;
    if path.ends_with(" (deleted)") || path.split('/').any(|part| part == "..") {
        return None;
    }
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let mut next = || parts.find(|part| !part.ends_with(".slice"));
    let name = service(next()?)?;
    match user_manager(name) {
        None => Some(Unit {
            name: name.to_owned(),
            user: None,
        }),
        Some(user) => Some(Unit {
            name: service(next()?)?.to_owned(),
            user: Some(user),
        }),
    }
}

/// The name of a service, without the `_` that keeps names of control groups from
/// those of the kernel.
fn service(part: &str) -> Option<&str> {
    let name = part.strip_prefix('_').unwrap_or(part);
    let prefix = name.strip_suffix(".service")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let is_template = prefix.ends_with('@');
    let is_name = !prefix.is_empty() && !prefix.starts_with('@') && !is_template;
    (is_name && name.len() <= NAME_MAX && name.chars().all(allowed)).then_some(name)
}

/// The user of a `user@UID.service`, in which the user's own manager has its units.
fn user_manager(name: &str) -> Option<u32> {
    let uid = name.strip_prefix("user@")?.strip_suffix(".service")?;
    let is_number = uid.bytes().all(|b| b.is_ascii_digit());
    uid.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cgroup: &str) -> String {
        Unit::parse(cgroup.as_bytes()).map_or("-".into(), |unit| unit.words(0))
    }

    /// Fails when slices are not passed over, when the last component counts instead of the first, and
    /// when a scope or a template counts as a service.
    #[test]
    fn the_first_component_below_the_slices_is_the_unit() {
        for (path, unit) in [
            ("/system.slice/swift@proxy.service", "swift@proxy.service"),
            (
                "/system.slice/system-swift.slice/swift@object.2.service",
                "swift@object.2.service",
            ),
            ("/swift.service", "swift.service"),
            (
                "/a.slice/a-b.slice/a-b-c.slice/x.service/payload/y.service",
                "x.service",
            ),
            ("/a.slice/x.service/.control", "x.service"),
            ("/system.slice/_cgroup.service", "cgroup.service"),
            (
                r"/system.slice/a\x2db@c\x20d.service",
                r"a\x2db@c\x20d.service",
            ),
            ("/user.slice/user-0.slice/session-3.scope", "-"),
            ("/system.slice/docker-0123abcd.scope", "-"),
            ("/init.scope", "-"),
            ("/docker/0123abcd", "-"),
            ("/docker/0123abcd/x.service", "-"),
            ("/", "-"),
            ("", "-"),
            ("/system.slice", "-"),
            ("/system.slice/swift@.service", "-"),
            ("/system.slice/.service", "-"),
            ("/system.slice/@x.service", "-"),
            ("/system.slice/x y.service", "-"),
            ("/system.slice/x.service (deleted)", "-"),
            ("/system.slice/x.service/payload (deleted)", "-"),
            ("/../../system.slice/x.service", "-"),
            ("/../x.service", "-"),
            ("/system.slice/../x.service", "-"),
        ] {
            assert_eq!(shown(&format!("0::{path}\n")), unit, "{path}");
        }
    }

    /// Fails when a user's manager is taken for a unit that owns something.
    #[test]
    fn a_users_manager_has_units_of_its_own() {
        let home = "/user.slice/user-1000.slice/user@1000.service";
        for (beneath, unit) in [
            ("/app.slice/x.service", "--user --machine=1000@ x.service"),
            ("/x.service/payload", "--user --machine=1000@ x.service"),
            ("/app.slice/app-terminal-4711.scope", "-"),
            ("/init.scope", "-"),
            ("", "-"),
        ] {
            assert_eq!(shown(&format!("0::{home}{beneath}\n")), unit, "{beneath}");
        }
        let other = "0::/system.slice/user@name.service\n";
        assert_eq!(shown(other), "user@name.service");
        let own = format!("0::{home}/x.service\n");
        let own = Unit::parse(own.as_bytes()).unwrap();
        assert_eq!(own.words(1000), "--user x.service");
    }

    /// Fails when a hierarchy of another controller counts, and when a path with colons is cut.
    #[test]
    fn systemds_own_hierarchy_of_version_1_counts() {
        let legacy = "12:memory:/system.slice/other.service\n\
                      1:name=systemd:/system.slice/x@a:b.service\n0::/\n";
        assert_eq!(shown(legacy), "x@a:b.service");
        assert_eq!(shown("4:cpu,cpuacct:/system.slice/x.service\n"), "-");
        assert_eq!(shown("x::/system.slice/x.service\n"), "-");
        let hybrid = "1:name=systemd:/system.slice/docker.service\n0::/system.slice/x.service\n";
        assert_eq!(shown(hybrid), "x.service");
    }

    #[test]
    fn nothing_owns_what_its_own_unit_looks_at() {
        let me = Pid::own();
        assert_eq!(Unit::owner(me).unwrap(), None);
    }
}
