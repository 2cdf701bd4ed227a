//! The tag: two variables in the environment of what swift-spawn starts.
//!
//! The tag survives every exec and every change of name. /proc shows the
//! environment as it was at the last exec, proc_pid_environ(5); a program that
//! writes its title over that memory takes the tag away.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf, absolute};

use super::line::{Runs, is_config, same_file};
use super::stat::environment;
use swift_records::instance::{Instance, PidPath};
use swift_sys::pid::Pid;

/// The variable that holds the absolute path of the pid file.
pub const PID_FILE: &str = "SWIFT_PIDFILE";
/// The variable that holds the absolute path of the config.
pub const CONFIG: &str = "SWIFT_CONFIG";

/// Both variables for an instance, as NAME and value.
pub fn of(instance: &Instance) -> [(&'static str, PathBuf); 2] {
    let PidPath { run_dir, beneath } = instance.pid_path;
    [
        (PID_FILE, whole(run_dir).join(beneath)),
        (CONFIG, whole(instance.config)),
    ]
}

/// A path from the root on. No link in it is followed.
fn whole(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.into())
}

/// The environment of a process: `NAME=value`, each ended by NUL.
#[derive(Debug)]
pub struct Environment(Vec<u8>);

impl Environment {
    /// That of a process; none when no process has that pid. An error when this
    /// process may not read it, which a process of another user, or one that has
    /// changed its user, is for all but root.
    pub fn read(pid: Pid) -> io::Result<Option<Environment>> {
        Ok(environment(pid)?.map(Environment))
    }

    /// The value of a variable: that of the first of its name.
    pub fn value(&self, name: &str) -> Option<&Path> {
        let mut pairs = self.0.split(|b| *b == 0);
        let value = pairs.find_map(|pair| {
            let rest = pair.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        });
        value.map(|value| Path::new(OsStr::from_bytes(value)))
    }

    /// Compares the tag with an instance. A tag of another pid file tells nothing.
    pub fn runs(&self, instance: &Instance) -> io::Result<Runs> {
        let (Some(pid_file), Some(config)) = (self.value(PID_FILE), self.value(CONFIG)) else {
            return Ok(Runs::Nothing);
        };
        if !is_pid_file(pid_file, instance.pid_path)? {
            return Ok(Runs::Nothing);
        }
        if config.as_os_str() == whole(instance.config).as_os_str()
            || is_config(instance.server, instance.config, config, config)?
        {
            return Ok(Runs::Config);
        }
        Ok(Runs::OtherConfig(config.into()))
    }
}

/// True when a path is that of a row's pid file: the run directory may have
/// several names, as /run and /var/run have.
fn is_pid_file(path: &Path, pid_path: &PidPath) -> io::Result<bool> {
    let beneath = pid_path.beneath.as_os_str().as_bytes();
    let above = path.as_os_str().as_bytes().strip_suffix(beneath);
    let Some([above @ .., b'/']) = above else {
        return Ok(false);
    };
    let above = match above {
        b"" => Path::new("/"),
        above => Path::new(OsStr::from_bytes(above)),
    };
    Ok(above == whole(&pid_path.run_dir) || same_file(above, &pid_path.run_dir)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_records::catalogue::Server;

    fn compare(environment: &str, config: &str, run_dir: &Path) -> Runs {
        let instance = Instance {
            server: &Server::unlisted("a"),
            config: Path::new(config),
            pid_path: &PidPath {
                run_dir: run_dir.into(),
                beneath: "a/1.pid".into(),
            },
        };
        let environment = Environment(environment.replace(' ', "\0").into_bytes());
        environment.runs(&instance).unwrap()
    }

    #[test]
    fn a_tag_is_that_of_one_row() {
        let here = Path::new("/nowhere/run");
        let runs = |environment: &str| compare(environment, "/etc/1.conf", here);
        let tag = "A=b SWIFT_PIDFILE=/nowhere/run/a/1.pid SWIFT_CONFIG=/etc/1.conf C=d";
        assert_eq!(runs(tag), Runs::Config);
        let other = tag.replace("/etc/", "/copy/");
        assert_eq!(runs(&other), Runs::OtherConfig("/copy/1.conf".into()));
        for none in [
            "",
            "SWIFT_PIDFILE=/nowhere/run/a/1.pid",
            "SWIFT_CONFIG=/etc/1.conf",
            &tag.replace("1.pid", "2.pid"),
            &tag.replace("/run/a", "/run/b"),
            &tag.replace("/run/", "/other/"),
            &tag.replace("SWIFT_P", "XSWIFT_P"),
            &tag.replace("=/nowhere/run/", "="),
        ] {
            assert_eq!(runs(none), Runs::Nothing, "{none}");
        }
    }

    #[test]
    fn a_run_directory_may_have_several_names() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        let tag = format!(
            "SWIFT_PIDFILE={}/a/1.pid SWIFT_CONFIG=/etc/1.conf",
            link.display()
        );
        assert_eq!(compare(&tag, "/etc/1.conf", directory.path()), Runs::Config);
    }

    #[test]
    fn what_a_row_makes_is_what_is_read() {
        let instance = Instance {
            server: &Server::unlisted("a"),
            config: Path::new("etc/a/1.conf"),
            pid_path: &PidPath {
                run_dir: "run".into(),
                beneath: "a/1.pid".into(),
            },
        };
        let pairs = of(&instance).map(|(name, path)| format!("{name}={}", path.display()));
        let environment = Environment(pairs.join("\0").into_bytes());
        assert_eq!(environment.runs(&instance).unwrap(), Runs::Config);
        assert!(pairs.iter().all(|pair| pair.contains("=/")), "{pairs:?}");
    }
}
