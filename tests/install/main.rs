//! `make` as a user who has Rust, then `make install` as one who has none: it copies what is built, says
//! in one line what to do when that is not fit, and never builds.
//!
//! A fake cargo "builds" into a directory of the test's own, where each program is a script.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use test_helpers::{Outcome, run};

/// Makes the directory and the programs that its arguments name, as cargo does.
const CARGO: &str = "#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	--target) to=$CARGO_TARGET_DIR/$2/release; mkdir -p \"$to\"; shift ;;
	--package) printf '#!INTERPRETER\\n# %s\\n' \"$2\" >\"$to/$2\"; chmod 755 \"$to/$2\"; shift ;;
	esac
	shift
done
";

struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let site = Site { dir };
        site.script("with/cargo", &CARGO.replace("INTERPRETER", "/bin/sh"));
        site.script("with/rustc", "#!/bin/sh\necho 'host: fake-unknown-linux'\n");
        for program in ["cargo", "rustc"] {
            let text =
                "#!/bin/sh\necho \"$0 was called\" >>\"$CARGO_TARGET_DIR/../called\"\nexit 1\n";
            site.script(&format!("without/{program}"), text);
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("the directory is ours");
        fs::write(&path, text).expect("the directory is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    /// make in this repository, with the programs of a directory first on PATH and little environment.
    fn make(&self, with: &str, arguments: &[&str]) -> Outcome {
        let path = format!("{}:/usr/bin:/bin", self.path(with).display());
        let mut command = Command::new("make");
        command
            .env_clear()
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", self.path("target"))
            .current_dir(repository())
            .arg(format!("DESTDIR={}", self.path("root").display()));
        run(command.args(arguments))
    }

    fn install(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.make("without", &[&["install"], arguments].concat());
        assert!(
            !self.path("called").exists(),
            "it wants to build: {outcome}"
        );
        outcome
    }

    /// Nothing is installed, and one line of `make install` contains this.
    fn assert_refused(&self, arguments: &[&str], why: &str) {
        let outcome = self.install(arguments);
        assert_eq!(outcome.code(), 2, "{outcome}");
        let said = outcome.err();
        let ours = said
            .lines()
            .filter(|line| line.starts_with("make install: "));
        let ours: Vec<&str> = ours.collect();
        assert!(ours.len() == 1 && ours[0].contains(why), "{outcome}");
        assert!(!self.path("root").exists(), "{outcome}");
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn install_copies_what_make_built() {
    let site = Site::new();
    let made = site.make("with", &["all"]);
    assert_eq!(made.code(), 0, "{made}");
    let installed = site.install(&["PREFIX=/opt/swift"]);
    assert_eq!(installed.code(), 0, "{installed}");
    let prefix = site.path("root/opt/swift");
    let tools = fs::read_dir(repository().join("tools")).expect("the tools are there");
    for tool in tools {
        let name = tool.expect("it can be listed").file_name();
        let program = prefix.join("bin").join(&name);
        let mode = fs::metadata(&program).map(|file| file.permissions().mode() & 0o777);
        assert_eq!(mode.ok(), Some(0o755), "{}", program.display());
        let page = name.into_string().expect("UTF-8") + ".1";
        assert!(prefix.join("share/man/man1").join(page).exists());
    }
    for page in ["man5/swift-records.5", "man7/swift-systemd.7"] {
        assert!(prefix.join("share/man").join(page).exists(), "{page}");
    }
    let completions = "share/bash-completion/completions/swift-init";
    assert!(prefix.join(completions).exists());
}

/// Fails when every path of a unit is rewritten, when a name that begins like a tool's is taken for it,
/// and when a file is installed in a place of its own that nothing reads.
#[test]
fn units_name_our_programs_where_they_are_and_swifts_where_those_are() {
    let site = Site::new();
    assert_eq!(site.make("with", &["all"]).code(), 0);
    let installed = site.install(&["PREFIX=/opt/swift", "SYSCTLDIR=/etc/sysctl.d"]);
    assert_eq!(installed.code(), 0, "{installed}");
    let tools = names(&repository().join("tools"));
    let words = |text: &str| -> Vec<String> {
        let words = text.split(['\n', ' ', '=']).map(str::to_owned);
        words.filter(|word| word.starts_with('/')).collect()
    };
    let mut own = 0;
    let sources = repository().join("shared/installed/systemd");
    for name in names(&sources) {
        let text = fs::read_to_string(sources.join(&name)).expect("it is a unit");
        let unit = site.path("root/opt/swift/lib/systemd/system").join(&name);
        let unit = fs::read_to_string(unit).expect("it is installed");
        let wanted = words(&text).into_iter().map(|word| {
            let tool = word.strip_prefix("/usr/bin/");
            let tool = tool.filter(|tool| tools.iter().any(|name| name == tool));
            own += usize::from(tool.is_some());
            tool.map_or(word.clone(), |tool| format!("/opt/swift/bin/{tool}"))
        });
        assert_eq!(words(&unit), wanted.collect::<Vec<_>>(), "{name}");
    }
    assert!(own > 0, "no unit names a tool");
    for file in [
        "opt/swift/lib/tmpfiles.d/swift-init.conf",
        "opt/swift/lib/sysusers.d/swift-init.conf",
        "etc/sysctl.d/50-swift-init.conf",
        "opt/swift/share/man/man7/swift-systemd.7",
    ] {
        assert!(site.path("root").join(file).exists(), "{file}");
    }
    // What a page shows can be copied word by word.
    let page = site.path("root/opt/swift/share/man/man7/swift-systemd.7");
    let page = fs::read_to_string(page).expect("it is installed");
    for (wrong, right) in [
        ("/usr/bin/swift-init ", "/opt/swift/bin/swift-init "),
        ("/usr/lib/systemd/system", "/opt/swift/lib/systemd/system"),
    ] {
        assert!(!page.contains(wrong) && page.contains(right), "{right}");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it can be listed");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name());
    names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect()
}

#[test]
fn install_says_that_nothing_is_built() {
    Site::new().assert_refused(&[], "nothing is built");
}

#[test]
fn install_refuses_what_make_did_not_build() {
    let site = Site::new();
    assert_eq!(site.make("with", &["all"]).code(), 0);
    let program = site.path("target/fake-unknown-linux/release/swift-signal");
    fs::write(&program, "#!/bin/sh\n# with other flags\n").expect("it is ours");
    site.assert_refused(&[], "not those that make built");
    fs::remove_file(program).expect("it is ours");
    site.assert_refused(&[], "not those that make built");
}

#[test]
fn install_refuses_what_is_older_than_the_sources() {
    let site = Site::new();
    assert_eq!(site.make("with", &["all"]).code(), 0);
    let stamp = fs::File::options()
        .write(true)
        .open(site.path("target/built.sha256"));
    let past = std::time::UNIX_EPOCH;
    stamp
        .and_then(|stamp| stamp.set_modified(past))
        .expect("it is ours");
    site.assert_refused(&[], "was changed after the last make");
}

#[test]
fn install_refuses_what_was_built_for_another_machine() {
    let site = Site::new();
    // A script without its interpreter runs no better than a program for another processor.
    site.script("with/cargo", &CARGO.replace("INTERPRETER", "/nowhere"));
    assert_eq!(site.make("with", &["all"]).code(), 0);
    site.assert_refused(&[], "does not run here");
    site.assert_refused(
        &["HOST=other-unknown-linux"],
        "was not for other-unknown-linux",
    );
    // A package for another machine names it.
    let installed = site.install(&["HOST=fake-unknown-linux"]);
    assert_eq!(installed.code(), 0, "{installed}");
}
