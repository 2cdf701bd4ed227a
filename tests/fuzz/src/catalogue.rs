//! The site's own catalogue, and what a person's words select from it.

use std::path::Path;
use std::sync::{LazyLock, Mutex};

use swift_cli::text;
use swift_records::catalogue::{Catalogue, SITE_FILE, Server};

use crate::cursor::Cursor;
use crate::folder::Folder;

static FOLDER: LazyLock<Mutex<Folder>> = LazyLock::new(|| Mutex::new(Folder::new()));

/// Pieces of a file that is likely to be taken.
const PIECES: &[&str] = &[
    "[server.a-server]\n",
    "[server.object-server]\n",
    "[server.b]\n",
    "[groups]\n",
    "[defaults]\n",
    "[limits]\n",
    "group = \"main\"\n",
    "group = \"new\"\n",
    "command = \"swift-x\"\n",
    "config = [\"a-server\", { stem = \"b\", section = \"s\", deprecated = \"d\" }]\n",
    "stop = \"INT\"\n",
    "graceful = \"64\"\n",
    "seamless = \"SIGUSR2\"\n",
    "once = true\n",
    "check = false\n",
    "notify = true\n",
    "serve = true\n",
    "run_dir = \"/run/x\"\n",
    "kill_wait = 4294967295\n",
    "files = 9223372036854775807\n",
    "web = [\"main\", \"b\"]\n",
    "main = []\n",
    "both = [\"web\", \"rest\", \"all\"]\n",
    "x.y = 1\n",
    "\u{feff}",
    "# \u{85}\n",
];

/// The site's file: nothing panics, an error is one line that names file and line once a person sees
/// it, and whatever is taken gives servers and groups that file names and commands can be made of.
///
/// Bytes from 0xC0 on stand for pieces of a file; the others are text.
///
/// Fails when a config's stem or a server's name may hold a slash, when a group may have no members,
/// and when `apply` counts lines in the middle of a character.
pub fn check(data: &[u8]) {
    let mut text = Vec::new();
    for byte in data {
        match usize::from(*byte).checked_sub(0xc0) {
            Some(piece) if piece < PIECES.len() => text.extend_from_slice(PIECES[piece].as_bytes()),
            _ => text.push(*byte),
        }
    }
    for text in [data, &text] {
        match loaded(text) {
            Ok(catalogue) => is_sound(&catalogue),
            Err(error) => {
                let line = text::one_line(error.as_bytes());
                assert!(!line.contains(char::is_control), "{line}");
                if std::str::from_utf8(text).is_ok() {
                    says_where(&line, text);
                }
            }
        }
    }
}

fn loaded(text: &[u8]) -> Result<Catalogue, String> {
    let folder = FOLDER.lock().unwrap_or_else(|e| e.into_inner());
    folder.write(SITE_FILE, text);
    Catalogue::load(folder.path()).map_err(|e| format!("{e:#}"))
}

fn says_where(error: &str, text: &[u8]) {
    let (_, after) = error
        .split_once(&format!("/{SITE_FILE}: line "))
        .unwrap_or_else(|| panic!("no file and no line: {error}"));
    let (number, what) = after.split_once(": ").expect("a number and what is wrong");
    let lines = text.split(|b| *b == b'\n').count();
    let number: usize = number.parse().expect("the line's number");
    assert!((1..=lines).contains(&number), "{error}");
    assert!(!what.trim().is_empty(), "{error}");
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(good)
}

fn is_sound(catalogue: &Catalogue) {
    let known = |name: &str| catalogue.servers.iter().filter(|s| s.name == name).count();
    for server in catalogue.servers.iter() {
        assert!(is_name(&server.name), "{server:?}");
        assert_eq!(known(&server.name), 1, "{server:?}");
        assert!(is_name(&server.group), "{server:?}");
        assert!(
            !server.command.is_empty() && !server.command.contains(['/', '\0']),
            "{server:?}"
        );
        assert!(!server.sources.is_empty(), "{server:?}");
        assert!(
            server.sources.iter().all(|source| is_name(&source.stem)),
            "{server:?}"
        );
        let signals = [Some(server.stop), Some(server.graceful), server.seamless];
        assert!(
            signals
                .iter()
                .flatten()
                .all(|s| (1..=64).contains(&s.number()))
        );
        assert_eq!(catalogue.server(&server.name), *server);
    }
    let groups: Vec<&str> = catalogue.groups().collect();
    assert_eq!(groups[0], "all");
    for (place, group) in groups.iter().enumerate() {
        assert!(is_name(group));
        assert!(!groups[..place].contains(group), "{group} twice");
        let members = catalogue
            .members(group)
            .expect("a group that is listed is there");
        assert!(!members.is_empty(), "{group} has no members");
        assert!(
            members.iter().all(|name| known(name) == 1),
            "{group}: {members:?}"
        );
    }
}

/// A glob: what it selects is what a plain reading of it matches, a star at a time.
///
/// The first line of the input is the glob, the others are names.
///
/// Fails when `matches` forgets to go back to its last star, when `.` matches the end of a name, and
/// when the whole name has to match.
pub fn glob(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let glob = String::from_utf8_lossy(cursor.until(b'\n')).into_owned();
    // Without a star it is a name, and a dot parts it from its config.
    let glob = if glob.contains('*') { glob } else { glob + "*" };
    let mut names: Vec<String> = Vec::new();
    while !cursor.is_empty() && names.len() < 8 {
        let name = cursor.until(b'\n').to_ascii_lowercase();
        let name: Vec<u8> = name
            .into_iter()
            .filter(|b| b.is_ascii_lowercase() || *b == b'-')
            .collect();
        let name = String::from_utf8(name).expect("it is ASCII");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut catalogue = Catalogue::load(Path::new("/nonexistent")).expect("it is compiled in");
    catalogue.servers = names.iter().map(|name| Server::unlisted(name)).collect();
    let selection = catalogue.select([glob.as_str()]);
    let selected: Vec<&str> = selection.names.iter().map(|n| n.server.as_str()).collect();
    let expected = names.iter().map(String::as_str);
    let expected: Vec<&str> = expected
        .filter(|name| plainly(glob.as_bytes(), name.as_bytes()))
        .collect();
    assert_eq!(selected, expected, "{glob:?}");
    assert!(!selection.strict);
}

/// Whether a glob matches the beginning of a name: for each part of the glob, where in the name it can
/// have ended.
fn plainly(glob: &[u8], name: &[u8]) -> bool {
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    for &part in glob {
        let mut next = vec![false; name.len() + 1];
        for at in (0..=name.len()).filter(|at| ends[*at]) {
            if part == b'*' {
                next[at..].fill(true);
            } else if name.get(at).is_some_and(|b| part == b'.' || part == *b) {
                next[at + 1] = true;
            }
        }
        ends = next;
    }
    ends.contains(&true)
}
