//! A terminal is not driven by anything that somebody else has named or printed, and its reader is not
//! fooled: no control character reaches it, whichever command prints.
//!
//! The commands run on a terminal of their own, which script(1) makes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use test_helpers::{run, tools_dir};

use crate::misbehaving::story::Fixture;

/// What drives a terminal: clearing it by ESC and by the one character that stands for ESC [, a bell,
/// and the character that turns the direction of what follows around.
const EVIL: &str = "\x1b[2J\u{9b}31m\x07\u{202e}";

/// The same as a fake server's setting has it, with a byte that is no text.
const EVIL_SETTING: &str = r"\x1b[2J\xc2\x9b31m\x07\xe2\x80\xae\xff\r";

/// How it is shown on a terminal, and in rows.
const SHOWN: &str = r"\x1b[2J\x9b31m\x07\u202e";
const SHOWN_IN_ROWS: &str = r"\x1b[2J\xc2\x9b31m\x07\xe2\x80\xae";

/// A fixture on which all that can be named bears an evil name.
fn fixture() -> Fixture {
    let fixture = Fixture::new(&[]);
    let sandbox = &fixture.sandbox;
    let name = |rest: &str| format!("object-server/{EVIL}{rest}.conf");
    sandbox.conf(&name("1"), &format!("print = {EVIL_SETTING}"));
    let fails = format!("print = {EVIL_SETTING}\nprint_error = {EVIL_SETTING}\nexit = 3");
    sandbox.conf(&name("2"), &fails);
    let bad = format!("check_print = {EVIL_SETTING}\ncheck_exit = 1\nignore = TERM");
    sandbox.conf(&name("3"), &bad);
    sandbox.pid_file(&format!("object-server/{EVIL}4.pid"), "0");
    sandbox.conf(&name("5"), "");
    let link = format!("object-server/{EVIL}5.pid");
    symlink("nowhere", sandbox.run_dir().join(link)).expect("a link can be made");
    fixture
}

/// A command on a terminal of its own.
fn on_terminal(command: &Command) -> Command {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    let mut script = Command::new("script");
    script.args([
        "--quiet",
        "--return",
        "--command",
        &line.join(" "),
        "/dev/null",
    ]);
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    let folder = command
        .get_current_dir()
        .expect("a sandbox's command has one");
    script.current_dir(folder);
    script
}

/// What a terminal got, after a look at every character of it. Lines end there in carriage return and
/// newline, and swift-init takes its own line about what it waits for away.
fn seen(output: &[u8]) -> String {
    let text = String::from_utf8(output.to_vec()).expect("a terminal gets text");
    let text = text.replace("\r\x1b[K", "").replace("\r\n", "\n");
    let steers = |c: char| swift_cli::text::steers(c) && c != '\n' && c != '\t';
    assert!(!text.contains(steers), "{text:?}");
    text
}

/// Fails when `Voice::text` or `Tool::say` writes what it is given as it is, and when a control
/// character of two bytes or one that turns text around counts as harmless. The original writes
/// everything as it is.
#[test]
fn no_command_drives_a_terminal() {
    let fixture = fixture();
    let mut all = String::new();
    for line in [
        "-v object status",
        "-v object start",
        "-v object status",
        "-v object start",
        "-v -c 1 object status",
        "-v -c 9 object status",
        "object reload-seamless",
        "-v -k 0 object restart",
        "-v object reload",
        "-v -k 0 object stop",
        "-v -k 0 --kill-after-timeout object kill",
        "-v object once",
        "object no-wait",
        "-k 0 --kill-after-timeout object kill",
    ] {
        let mut command = fixture.tool("swift-init");
        command.args(line.split(' '));
        let outcome = run(&mut on_terminal(&command));
        all.push_str(&seen(&outcome.stdout));
    }
    for message in [
        &format!(
            "Starting object-server...({}{SHOWN}1.conf)",
            place(&fixture)
        ),
        &format!("{SHOWN}\\xff\\r\n"),
        &format!("pid file run/object-server/{SHOWN}4.pid with invalid pid"),
        &format!("{SHOWN}2.conf): failed to start: exit status 3"),
        &format!("{SHOWN}3.conf): its config is refused"),
        &format!("swift-init: | {SHOWN}"),
        &format!("{SHOWN}5.pid: a symbolic link"),
        &format!("  1) {}{SHOWN}1.conf", place(&fixture)),
    ] {
        let all = all.replace(&fixture.sandbox.run_dir().display().to_string(), "run");
        assert!(
            all.contains(message.as_str()),
            "{message}\nis not in\n{all}"
        );
    }
}

fn place(fixture: &Fixture) -> String {
    format!("{}/object-server/", fixture.sandbox.etc().display())
}

/// Words of a command line are somebody else's too when a script hands them on. Fails when they are
/// printed as they are, as the original does.
#[test]
fn no_word_of_a_command_line_drives_a_terminal() {
    let fixture = fixture();
    let (dir, long) = (format!("--swift-dir={EVIL}"), format!("--{EVIL}"));
    for (words, shown) in [
        (&["main", EVIL][..], SHOWN),
        (&[long.as_str(), "main", "status"], SHOWN),
        (&["-c", EVIL, "main", "status"], SHOWN),
        (&[EVIL, "status"], ""),
        (
            &[&dir, "--explain", "main", "restart"],
            r"$'--swift-dir=\033[2J\302\23331m\007\342\200\256'",
        ),
    ] {
        let mut command = fixture.tool("swift-init");
        command.args(words);
        let outcome = run(&mut on_terminal(&command));
        let seen = seen(&outcome.stdout);
        assert!(seen.contains(shown), "{seen}");
    }
}

/// Rows are escaped whatever they are written to. Fails when the row lets a character through that
/// turns text around.
#[test]
fn no_row_drives_a_terminal() {
    let fixture = fixture();
    let end = "swift-signal --wait=0 --kill stop";
    for line in [
        "rows".to_owned(),
        "rows | swift-check-config | swift-spawn".to_owned(),
        "rows | swift-reload --timeout=0.1".to_owned(),
        format!("rows | {end}"),
        format!("rows | swift-spawn | {end}"),
    ] {
        let mut command = fixture.sandbox.command("sh");
        let shell = fixture.command(&line);
        command.args(shell.get_args());
        let outcome = run(&mut on_terminal(&command));
        let seen = seen(&outcome.stdout);
        assert!(seen.contains(SHOWN_IN_ROWS), "{line}\n{seen}");
    }
}

/// The site's file can name servers, groups and programs. Fails when a program's name may hold control
/// characters: the list of servers shows it.
#[test]
fn no_name_in_the_sites_file_drives_a_terminal() {
    let fixture = fixture();
    let escaped = r"\u001b[2J\u009b31m\u0007\u202e";
    for (text, shown) in [
        (format!("[server.\"{escaped}\"]\n"), SHOWN),
        (
            format!("[server.a]\ncommand = \"{escaped}\"\n"),
            "line 2: server a: command",
        ),
        (format!("[server.a]\ngroup = \"{escaped}\"\n"), SHOWN),
        (format!("[groups]\na = [\"{escaped}\"]\n"), SHOWN),
        (
            format!("[server.a]\nconfig = [\"{escaped}\"]\n"),
            "line 2: server a: config",
        ),
        (
            format!(
                "[server.object-server]\nconfig = [{{stem=\"object-server\", deprecated=\"{escaped}\"}}]\n"
            ),
            "",
        ),
    ] {
        fs::write(fixture.sandbox.etc().join("swift-init.toml"), &text).expect("it can be written");
        for (tool, words) in [
            ("swift-init", &["object", "status"][..]),
            ("swift-init", &["object", "start"]),
            ("swift-resolve-servers", &["--list"]),
            ("swift-resolve-servers", &["all"]),
        ] {
            let mut command = fixture.tool(tool);
            command.args(words);
            let seen = seen(&run(&mut on_terminal(&command)).stdout);
            assert!(seen.contains(shown), "{text}\n{seen}");
        }
    }
}

/// The line about what is awaited names servers. Fails when it names them as they are called.
#[test]
fn the_line_about_what_is_awaited_drives_no_terminal() {
    // It has to fit into the 40 columns of the line.
    let name = "\x1b[2J-server";
    let fixture = Fixture::new(&[]);
    let never = fixture.fifo("never");
    let program: PathBuf = fixture.sandbox.path("bin").join(format!("swift-{name}"));
    symlink(tools_dir().join("fake-server"), program).expect("a link can be made");
    let lines = format!("ready_after = {}", never.display());
    fixture.sandbox.conf(&format!("{name}.conf"), &lines);
    let mut command = fixture.tool("swift-init");
    command.args([name, "start"]);
    let mut child = on_terminal(&command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script can be started");
    let mut output = child.stdout.take().expect("it is a pipe");
    let mut all = Vec::new();
    let waits = |all: &[u8]| all.windows(4).any(|bytes| bytes == b" s f");
    while !waits(&all) {
        let mut chunk = [0; 4096];
        let length = std::io::Read::read(&mut output, &mut chunk).expect("it can be read");
        assert!(length > 0, "{:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&chunk[..length]);
    }
    drop(
        fs::File::options()
            .write(true)
            .open(never)
            .expect("it is there"),
    );
    std::io::Read::read_to_end(&mut output, &mut all).expect("it can be read");
    assert!(child.wait().expect("it is ours").success());
    let seen = seen(&all);
    assert!(seen.contains(r"s for \x1b[2J-server"), "{seen}");
}

/// A pipe gets the bytes of the original, since scripts compare them. Fails when they are escaped there.
#[test]
fn a_pipe_gets_what_was_printed_as_it_is() {
    let fixture = fixture();
    let mut command = fixture.tool("swift-init");
    let outcome = run(command.args(["object", "start"]));
    let starting = format!(
        "Starting object-server...({}{EVIL}2.conf)\n",
        place(&fixture)
    );
    assert!(outcome.out().contains(&starting), "{outcome}");
    assert!(
        outcome.out().contains(&format!("{EVIL}\\xff\r\n")),
        "{outcome}"
    );
}
