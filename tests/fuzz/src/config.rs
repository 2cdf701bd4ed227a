//! The configs of servers, and the files of swift-serve.

use std::path::Path;
use std::sync::{LazyLock, Mutex};

use swift_cli::text;

use crate::cursor::Cursor;
use crate::folder::Folder;
use swift_records::config;
use swift_serve::conf;
use swift_serve::file;
use swift_serve::options::Server;

static FOLDER: LazyLock<Mutex<Folder>> = LazyLock::new(|| Mutex::new(Folder::new()));

fn has_section(file: &Path, section: &str) -> Result<bool, String> {
    config::read(file).map(|ini| ini.has_section(section))
}

/// Pieces of a swift-serve file that is likely to be taken.
const PIECES: &[&str] = &[
    "listen = [\"{ip}:{port}\"]\n",
    "listen = [\"unix:/run/{ip}\", \"[::1]:1\"]\n",
    "command = [\"/bin/sh\", \"{conf}\", \"{{}}\"]\n",
    "command = [\"sh\"]\n",
    "workers = \"{n}\"\n",
    "workers = \"auto\"\n",
    "workers = 4096\n",
    "ready = \"newline\"\n",
    "graceful = \"{g}\"\n",
    "user = \"{u}\"\n",
    "reload_timeout = 4294967295\n",
    "stop_timeout = 0\n",
    "#!/usr/bin/swift-serve\n",
    "[DEFAULT]\n",
    "ip = ::1\n",
    "port = 80\n",
    "n = 3\n",
    "g = HUP\n",
    "u = root\n",
    "  go on\n",
];

/// Whether a config has a section: nothing panics; an error names the file and a line that is there;
/// a section that is found stands in brackets on a line of its own, and one that stands so at the left
/// is found.
///
/// Fails when `scan` counts lines from 0, when it takes what goes on with an option for a section, and
/// when it compares how a name begins.
pub fn section(data: &[u8]) {
    let folder = FOLDER.lock().unwrap_or_else(|e| e.into_inner());
    let (text, expected) = sections(data);
    let built = folder.write("b.conf", text.as_bytes());
    assert_eq!(
        has_section(&built, "object-expirer"),
        Ok(expected),
        "{text}"
    );
    let file = folder.write("a.conf", data);
    let text = String::from_utf8_lossy(data).replace("\r\n", "\n");
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    let is_blank = |c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f');
    let begins = |line: &&str| line.trim_matches(is_blank).starts_with("[object-expirer]");
    match has_section(&file, "object-expirer") {
        Ok(true) => assert!(lines.iter().any(begins)),
        Ok(false) => assert!(
            !lines
                .iter()
                .any(|line| line.trim_end_matches(is_blank) == "[object-expirer]")
        ),
        Err(what) => {
            let (_, after) = what
                .split_once("/a.conf: line ")
                .expect("it names file and line");
            let (number, _) = after.split_once(": ").expect("a number and what is wrong");
            let number: usize = number.parse().expect("a number");
            assert!((1..=lines.len()).contains(&number), "{what}");
            assert!(
                !lines[number - 1].trim_matches(is_blank).is_empty(),
                "{what}"
            );
        }
    }
}

/// A config that makes sense, a line for each byte, and whether it has the section. What is indented
/// goes on with an option, if one has begun.
fn sections(data: &[u8]) -> (String, bool) {
    let mut text = "[a]\n".to_owned();
    let (mut expected, mut in_option) = (false, false);
    for byte in data.iter().take(32) {
        text += match byte % 8 {
            0 => "[object-expirer]\n",
            1 => "  [object-expirer]\n",
            2 => "[object-expirers]\n",
            3 | 4 => "x = 1\n",
            5 if in_option => "  y\n",
            6 => "# [object-expirer]\n",
            _ => "\n",
        };
        match byte % 8 {
            0 => (expected, in_option) = (true, false),
            1 => expected |= !in_option,
            2 => in_option = false,
            3 | 4 => in_option = true,
            _ => {}
        }
    }
    (text, expected)
}

/// What swift-serve reads: nothing panics, neither in the file nor in the config, and an error is one
/// line that names one of them.
///
/// The input is the file up to NUL, then the config. Bytes from 0xC0 on stand for pieces of them.
///
/// Fails when `load` in swift-serve's file.rs does not name its file, and when a brace at the end of a
/// value is looked behind.
pub fn serve(data: &[u8]) {
    let mut text = Vec::new();
    for byte in data {
        match usize::from(*byte).checked_sub(0xc0) {
            Some(piece) if piece < PIECES.len() => text.extend_from_slice(PIECES[piece].as_bytes()),
            _ => text.push(*byte),
        }
    }
    for data in [data, &text] {
        let mut cursor = Cursor::new(data);
        let folder = FOLDER.lock().unwrap_or_else(|e| e.into_inner());
        let served = folder.write("file", cursor.until(0));
        let config = folder.write("config", cursor.rest());
        let _ = conf::read(&config);
        let server = Server {
            file: served,
            conf: Some(config),
            verbose: false,
        };
        match file::load(&server).map_err(|e| format!("{e:#}")) {
            Ok(settings) => {
                assert!(!settings.listen.is_empty() && !settings.command.is_empty());
                assert!((1..=4096).contains(&settings.workers));
                assert!((1..=64).contains(&settings.graceful.number()));
                // What is handed over to the next generation is understood by it.
                let text = toml::to_string(&settings).expect("it can be written");
                let again: file::Settings = toml::from_str(&text).expect("it can be read");
                assert_eq!(again, settings);
            }
            Err(what) => {
                let line = text::one_line(what.as_bytes());
                assert!(!line.contains(char::is_control), "{line}");
                let folder = folder.path().display();
                let names = |name: &str| line.contains(&format!("{folder}/{name}"));
                assert!(names("file") || names("config"), "{line}");
            }
        }
    }
}
