//! The unit templates, in systemd's own eyes.

use std::fs;
use std::path::Path;
use std::process::Command;

use test_helpers::run;

/// systemd-analyze of version 252 says "ignoring" for what it does not know and exits 0, so any output
/// counts.
#[test]
fn systemd_takes_the_units() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/systemd");
    let files: Vec<_> = fs::read_dir(units)
        .expect("the templates are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "service"))
        .collect();
    assert!(!files.is_empty());
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        crate::site::tell("systemd-analyze is not installed: the unit templates were not verified");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        let text = fs::read_to_string(&file).expect("it can be read");
        // The programs need not be installed where the units will look for them.
        let text = text.replace("/usr/bin/swift-", "/bin/true swift-");
        let instance = dir.path().join(name.replace('@', "@test"));
        fs::write(&instance, text).expect("the directory is ours");
        let outcome = run(Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(instance));
        let said = outcome.out() + &outcome.err();
        assert!(outcome.code() == 0 && said.is_empty(), "{name}: {outcome}");
    }
}
