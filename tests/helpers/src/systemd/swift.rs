//! OpenStack Swift's own servers under a live systemd.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Machine, root};
use crate::lab::{NEWEST, lab_script, venv};
use crate::report;
use crate::run::run;

/// Where the virtual environment lies inside. Neither /root nor /home nor /tmp is a place for it, since
/// units hide those.
const VENV: &str = "/opt/swift/venv";

/// Where its Python lies inside when it comes from this machine.
const PYTHON: &str = "/opt/swift/python";

/// The virtual environment whose servers are installed.
struct Source {
    /// `bin/` with the servers' scripts, as it is seen from outside.
    programs: PathBuf,
    /// The prefix of a Python of this machine, and the site-packages. A root directory that was made with
    /// Swift in it needs neither.
    python: Option<(PathBuf, PathBuf)>,
}

impl Machine {
    /// The same with Swift's own servers of the newest release in /usr/bin, and with the four main servers
    /// and fourteen daemons configured for the user `swift` as [`Lab`](crate::lab::Lab) does; none of them
    /// is started. Returns the address at which the proxy will answer as well.
    ///
    /// # Panics
    /// When there is no Swift, and says how to make it.
    pub fn boot_with_swift() -> Option<(Machine, String)> {
        let source = Source::find()?;
        let machine = Machine::boot_with(&source.binds())?;
        source.install(&machine);
        let address = configure(&machine);
        Some((machine, address))
    }
}

impl Source {
    /// The one in the root directory; else that of the tests, with its Python.
    fn find() -> Option<Source> {
        let inner = root().join(VENV.trim_start_matches('/'));
        if inner.join("pyvenv.cfg").exists() {
            let programs = inner.join("bin");
            return Some(Source {
                programs,
                python: None,
            });
        }
        let venv = venv(NEWEST);
        let text =
            fs::read_to_string(venv.join("pyvenv.cfg")).expect("it is a virtual environment");
        let home = text.lines().find_map(|line| line.strip_prefix("home = "));
        let prefix = Path::new(home.expect("it names its Python")).parent();
        let prefix = prefix.expect("a bin directory lies in a prefix").to_owned();
        if prefix.starts_with("/usr") && root() != Path::new("/") {
            report(&format!(
                "not played: Swift under systemd in {}: there is no {VENV}, and the Python of {} lies in {}; \
                 tests/lab/setup-root makes a root directory with Swift",
                root().display(),
                venv.display(),
                prefix.display()
            ));
            return None;
        }
        let lib = fs::read_dir(venv.join("lib")).expect("it is a virtual environment");
        let version = lib
            .map(|entry| entry.expect("it can be read").path())
            .next();
        let packages = version.expect("lib/pythonX.Y").join("site-packages");
        Some(Source {
            programs: venv.join("bin"),
            python: Some((prefix, packages)),
        })
    }

    /// The paths of this machine that are shown inside.
    fn binds(&self) -> Vec<(PathBuf, String)> {
        let Some((prefix, packages)) = &self.python else {
            return Vec::new();
        };
        let version = packages.parent().and_then(Path::file_name);
        let version = version.and_then(|name| name.to_str()).expect("UTF-8");
        let place = format!("{VENV}/lib/{version}/site-packages");
        vec![(prefix.clone(), PYTHON.into()), (packages.clone(), place)]
    }

    /// Makes the virtual environment whole, and installs the servers.
    fn install(&self, machine: &Machine) {
        if let Some((prefix, _)) = &self.python {
            machine.write(
                &format!("{VENV}/pyvenv.cfg"),
                &format!("home = {PYTHON}/bin\n"),
            );
            fs::create_dir_all(machine.path(&format!("{VENV}/bin"))).expect("it is ours");
            let python = machine.path(&format!("{VENV}/bin/python3"));
            symlink(format!("{PYTHON}/bin/python3"), python).expect("it is ours");
            show_libraries(machine, prefix);
        }
        for entry in fs::read_dir(&self.programs).expect("the servers can be listed") {
            let path = entry.expect("it can be read").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("UTF-8");
            let place = format!("/usr/bin/{name}");
            // The tools under test stand where Swift has its own.
            if name.starts_with("swift-") && !machine.path(&place).exists() {
                let text = fs::read_to_string(&path).expect("a server's script is text");
                let (_, rest) = text.split_once('\n').expect("its first line is #!");
                machine.program(&place, &format!("#!{VENV}/bin/python3\n{rest}"));
            }
        }
    }
}

/// Lets the Python find its library, which it knows by a path that is hidden inside, before one of the
/// system's that has the same name.
fn show_libraries(machine: &Machine, prefix: &Path) {
    let list = |dir: &Path| fs::read_dir(dir).expect("it can be read");
    let paths = |dir: &Path| list(dir).map(|entry| entry.expect("it can be read").path());
    let name = |path: &Path| path.file_name().expect("it has one").to_owned();
    let usr_lib = machine.path("/usr/lib");
    let libraries = paths(&prefix.join("lib")).map(|path| name(&path));
    for library in libraries.filter(|name| name.as_encoded_bytes().starts_with(b"libpython3.")) {
        let target = Path::new(PYTHON).join("lib").join(&library);
        for link in paths(&usr_lib).map(|dir| dir.join(&library)) {
            if fs::remove_file(&link).is_ok() {
                symlink(&target, link).expect("the root directory is ours");
            }
        }
        symlink(&target, usr_lib.join(&library)).expect("the root directory is ours");
    }
}

/// Installs configs and rings, and makes the disks. Returns the proxy's address.
fn configure(machine: &Machine) -> String {
    let lab = tempfile::tempdir().expect("a temporary directory");
    let lab = lab.path().join("lab");
    let dir = lab.to_str().expect("UTF-8");
    let made = run(lab_script(venv(NEWEST).join("bin/python3")).args(["create", dir]));
    assert_eq!(made.code(), 0, "no laboratory: {}", made.err());
    for entry in fs::read_dir(lab.join("etc")).expect("lab.py made it") {
        let path = entry.expect("it can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        let place = format!("/etc/swift/{name}");
        if name.ends_with(".gz") {
            fs::copy(&path, machine.path(&place)).expect("the root directory is ours");
            continue;
        }
        let text = fs::read_to_string(&path).expect("a config is text");
        let text = text
            .replace(&format!("{dir}/devices"), "/srv/node")
            .replace(&format!("{dir}/cache"), "/var/cache/swift")
            .replace("\nuser = root\n", "\nuser = swift\n");
        machine.write(&place, &text);
    }
    machine.user("swift");
    machine.must(
        "mkdir -p /srv/node/disk1 /srv/node/disk2 /srv/node/disk3 /var/cache/swift &&
         chown -R swift: /srv/node /var/cache/swift",
    );
    let env = fs::read_to_string(lab.join("lab.env")).expect("lab.py wrote it");
    let url = env
        .lines()
        .find_map(|line| line.strip_prefix("LAB_URL=http://"));
    url.expect("lab.env names the proxy's URL").to_owned()
}
