//! What stands in the way of a start, and that nothing runs then.

use std::fs;

use test_helpers::Sandbox;

use crate::stage::{Stage, runs, state, states};

/// The one row's detail and what is said, when one server is not started.
fn failure(stage: &Stage, row: &str) -> (String, String) {
    let outcome = stage.spawn(&[], row);
    assert_eq!(outcome.code(), 1, "{outcome}");
    let rows = outcome.rows();
    assert_eq!(rows.len(), 1, "{outcome}");
    assert_eq!(rows[0][3..6], ["-", "-", "failed"]);
    let row = &rows[0];
    let start = format!("swift-spawn: cannot start {} ({}): ", row[0], row[1]);
    let err = outcome.err();
    let told = err.strip_prefix(&start).expect("it says which server");
    let told = told.strip_suffix('\n').expect("it is one line").to_owned();
    let told = told.replace(&stage.path("").display().to_string(), "");
    (row[6].clone(), told)
}

fn both(detail: &str, told: &str) -> (String, String) {
    (detail.to_owned(), told.to_owned())
}

#[test]
fn a_missing_program() {
    let stage = Stage::new();
    stage.server("1", "");
    let told = "swift-object-updater is not on PATH";
    let row = stage.row_of("object-updater", "1");
    let wanted = both(&format!("exec-missing {told}"), told);
    assert_eq!(failure(&stage, &row), wanted);
}

#[test]
fn a_missing_interpreter() {
    let stage = Stage::new();
    stage.server("1", "");
    fs::write(
        stage.path("bin/swift-object-updater"),
        "#!/missing/python3\n",
    )
    .unwrap();
    stage.shell("chmod +x bin/swift-object-updater", "");
    let told = "the interpreter /missing/python3 of bin/swift-object-updater does not exist";
    let row = stage.row_of("object-updater", "1");
    let (detail, said) = failure(&stage, &row);
    assert!(detail.starts_with("exec-missing the interpreter /missing/python3 of /"));
    assert_eq!(said, told);
    assert!(!stage.run_dir().join("object-updater/1.pid").exists());
}

#[test]
fn a_program_that_is_none() {
    let stage = Stage::new();
    stage.server("1", "");
    fs::write(stage.path("bin/swift-object-updater"), "no program\n").unwrap();
    stage.shell("chmod +x bin/swift-object-updater", "");
    let told = "bin/swift-object-updater: Exec format error";
    let row = stage.row_of("object-updater", "1");
    // An old pid file goes as well: what it said was not true.
    stage.pid_file("object-updater/1.pid", "4194304");
    let (detail, said) = failure(&stage, &row);
    assert!(
        detail.starts_with("exec-failed /") && detail.ends_with(told),
        "{detail}"
    );
    assert_eq!(said, told);
    assert!(!stage.run_dir().join("object-updater/1.pid").exists());
}

#[test]
fn something_in_the_pid_files_place() {
    let stage = Stage::new();
    stage.server("1", "");
    let path = stage.pid_path("1");
    fs::create_dir_all(&path).unwrap();
    let wanted = both(
        "unreadable a directory",
        "cannot read run/object-server/1.pid: a directory",
    );
    assert_eq!(failure(&stage, &stage.row("1")), wanted);
    fs::remove_dir(&path).unwrap();
    let target = stage.path("target");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let wanted = both(
        "unreadable a symbolic link",
        "cannot read run/object-server/1.pid: a symbolic link",
    );
    assert_eq!(failure(&stage, &stage.row("1")), wanted);
    assert!(!target.exists());
}

#[test]
fn a_folder_of_pid_files_that_leads_away() {
    let stage = Stage::new();
    stage.server("1", "");
    fs::create_dir(stage.path("elsewhere")).unwrap();
    let link = stage.run_dir().join("object-server");
    std::os::unix::fs::symlink(stage.path("elsewhere"), link).unwrap();
    let (detail, _) = failure(&stage, &stage.row("1"));
    assert!(detail.starts_with("unreadable "), "{detail}");
    assert_eq!(fs::read_dir(stage.path("elsewhere")).unwrap().count(), 0);
}

/// The rows of another swift directory lead to the same pid files.
#[test]
fn a_server_that_runs_with_another_config() {
    let stage = Stage::new();
    stage.server("1", "");
    assert_eq!(stage.spawn(&[], &stage.row("1")).code(), 0);
    let pid = fs::read_to_string(stage.pid_path("1")).unwrap();
    fs::rename(stage.etc(), stage.path("moved")).unwrap();
    let copy = stage.path("copy/object-server/1.conf");
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::write(&copy, "").unwrap();
    let rows = stage.row("1").replacen("/etc/", "/copy/", 1);
    let outcome = stage.spawn(&[], &rows);
    let was = stage.etc().join("object-server/1.conf");
    let told = format!(
        "swift-spawn: cannot start beside {} (object-server): {pid} runs with {}, not {}\n",
        stage.pid_path("1").display(),
        was.display(),
        copy.display(),
    );
    assert_eq!((outcome.code(), outcome.err()), (1, told));
    let row = &outcome.rows()[0];
    let detail = format!("config {}", was.display());
    assert_eq!((state(row), &row[3]), (("wrong-config", &*detail), &pid));
    assert_ne!(row[4], "-");
    assert_eq!(fs::read_to_string(stage.pid_path("1")).unwrap(), pid);
    assert!(runs(&pid));
    // What was said already is not said again.
    let outcome = stage.spawn(&[], &outcome.out());
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    assert_eq!(state(&outcome.rows()[0]).0, "wrong-config");
}

#[test]
fn a_run_directory_that_is_none() {
    let stage = Stage::new();
    stage.server("1", "");
    fs::remove_dir(stage.run_dir()).unwrap();
    fs::write(stage.run_dir(), "").unwrap();
    let why = format!("cannot make {}: not a directory", stage.run_dir().display());
    let (detail, told) = failure(&stage, &stage.row("1"));
    assert_eq!(detail, format!("pid-file {why}"));
    assert_eq!(told, "cannot make run: not a directory");
}

#[test]
fn a_lock_that_is_none() {
    let stage = Stage::new();
    stage.server("1", "");
    fs::create_dir(stage.run_dir().join(".swift-init.lock")).unwrap();
    let (detail, told) = failure(&stage, &stage.row("1"));
    assert!(detail.starts_with("lock cannot lock "), "{detail}");
    assert_eq!(told, "cannot lock run/.swift-init.lock: Is a directory");
}

#[test]
fn a_run_directory_that_cannot_be_written() {
    let stage = Stage::in_sandbox(Sandbox::in_namespace());
    let record = stage.path("record");
    let row = "object-server\t/etc/swift/object-server/1.conf\t/run/swift/object-server/1.pid\
               \t-\t-\tstopped\tabsent\n";
    stage.server("1", &format!("record = {}", record.display()));
    // The lock is there from before, and the folder.
    let prepare = stage.shell("mkdir run/object-server; touch run/.swift-init.lock", "");
    assert_eq!(prepare.code(), 0, "{prepare}");
    let full = "mount -t tmpfs -o nr_inodes=4 tmpfs /run/swift && cd /run/swift && \
                mkdir object-server && touch .swift-init.lock a && exec swift-spawn --keep-limits";
    let outcome = stage.shell(full, row);
    let wanted = "swift-spawn: cannot start object-server (/etc/swift/object-server/1.conf): \
                  cannot write /run/swift/object-server/1.pid: No space left on device\n";
    assert_eq!((outcome.err().as_str(), outcome.code()), (wanted, 1));
    let detail = &states(&outcome, "1")[0].1;
    assert_eq!(detail, "pid-file No space left on device");

    let read_only = "mount -o remount,ro /run/swift && exec swift-spawn --keep-limits";
    let outcome = stage.shell(read_only, row);
    let wanted = "swift-spawn: cannot start object-server (/etc/swift/object-server/1.conf): \
                  cannot lock /run/swift/.swift-init.lock: Read-only file system\n";
    assert_eq!((outcome.err().as_str(), outcome.code()), (wanted, 1));
    assert!(!record.exists());
}
