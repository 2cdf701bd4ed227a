//! The catalogue with the site's own file.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;

use super::model::{Catalogue, SITE_FILE};
use super::swift;
use swift_sys::regular_file;

impl Catalogue {
    /// The servers of Swift, with the site's file where there is one.
    /// The error names the file, the line and what is wrong there.
    pub fn load(swift_dir: &Path) -> anyhow::Result<Catalogue> {
        Catalogue::load_file(&swift_dir.join(SITE_FILE))
    }

    /// The same with a site's file that lies elsewhere.
    pub fn load_file(path: &Path) -> anyhow::Result<Catalogue> {
        let mut catalogue = swift::catalogue();
        match regular_file::read_text(path) {
            Ok(text) => {
                catalogue.add(&text, &path.display().to_string())?;
                catalogue.site = text;
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(e) if e.kind() == ErrorKind::PermissionDenied && is_out_of_sight(path) => {}
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        }
        Ok(catalogue)
    }
}

/// True when a directory on the way may not be entered, so that it is not known
/// whether the file exists. The configs there are out of sight then too, which
/// swift-resolve-servers reports.
fn is_out_of_sight(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use swift_sys::signal::Signal;

    use super::*;

    fn with_site(text: &str) -> anyhow::Result<Catalogue> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(SITE_FILE), text).unwrap();
        Catalogue::load(directory.path())
    }

    #[test]
    fn a_site_adds_servers_and_groups() {
        let catalogue = with_site(
            "[defaults]\nkill_wait = 30\nlog = false\n[limits]\nfiles = 65536\n\
             [server.hello-server]\ngroup = \"main\"\nseamless = \"USR1\"\n\
             [server.object-server]\nnotify = false\n\
             [groups]\nweb = [\"hello-server\", \"proxy-server\"]\nboth = [\"web\", \"rest\"]\n",
        )
        .unwrap();
        assert_eq!(catalogue.kill_wait, Duration::from_secs(30));
        assert!(!catalogue.log);
        assert_eq!(catalogue.limits.files, 65536);
        assert_eq!(catalogue.limits.processes, 8192);
        assert_eq!(
            catalogue.members("main").unwrap().last(),
            Some(&"hello-server")
        );
        assert_eq!(
            catalogue.members("web").unwrap(),
            ["hello-server", "proxy-server"]
        );
        assert_eq!(catalogue.members("both").unwrap().len(), 16);
        assert!(!catalogue.server("object-server").notify);
        assert!(catalogue.server("object-server").check);
    }

    #[test]
    fn a_server_of_swift_serve_can_what_swift_serve_can() {
        let text = "[server.a-server]\nserve = true\nnotify = false\n";
        let server = with_site(text).unwrap().server("a-server");
        assert_eq!(server.graceful, Signal::HUP);
        assert_eq!(server.seamless, Some(Signal::USR1));
        assert!(server.serve && server.check && !server.notify);
    }

    #[test]
    fn an_empty_word_unsets_the_seamless_reload() {
        let text = "[server.proxy-server]\nseamless = \"\"\n\
                    [server.a-server]\nserve = true\nseamless = \"\"\n";
        let catalogue = with_site(text).unwrap();
        for name in ["proxy-server", "a-server"] {
            let server = catalogue.server(name);
            assert_eq!((server.seamless, server.graceful), (None, Signal::HUP));
            assert!(server.check && server.notify);
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line() {
        for (text, what) in [
            ("[server.a-b]\nonce = 3\n", "line 2: once: invalid type"),
            (
                "[defaults]\n\nlog = \"no\"\n",
                "line 3: log: invalid type: string \"no\", expected a boolean",
            ),
            (
                "[server.a-b]\n\nstopp = \"TERM\"\n",
                "line 3: unknown field `stopp`",
            ),
            (
                "[server.a-b]\nstop = \"NOPE\"\n",
                "line 2: server a-b: stop: no signal is named NOPE",
            ),
            ("[server.\"A B\"]\n", "line 1: A B is no name"),
            (
                "[groups]\nx = [\"nope\"]\n",
                "line 2: groups.x: no server or group is named nope",
            ),
            (
                "[groups]\nall = []\n",
                "line 2: groups: all is every server",
            ),
            (
                "[groups]\n\nx = []\n",
                "line 3: groups.x: at least one server or group is wanted",
            ),
            (
                "[server.a-b]\ncommand = \"a\\u0000b\"\n",
                "line 2: server a-b: command: a program's name",
            ),
            (
                "[server.a-b]\nswift = \"wsgi\"\n",
                "line 2: server a-b: swift: \"server\", \"daemon\" or \"\" is wanted",
            ),
            (
                "[server.a-b]\nconfig = []\n",
                "line 2: server a-b: config: names",
            ),
            (
                "[server.a-b]\ncommand = \"/bin/x\"\n",
                "line 2: server a-b: command: a program's name",
            ),
            (
                "[server.a-b]\ncommand = \"a\\u001b[2J\"\n",
                "line 2: server a-b: command: a program's name",
            ),
            ("x = \n", "line 1: "),
        ] {
            let error = with_site(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            assert!(error.contains("swift-init.toml: line "), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
