//! Words that pages, documents and sources do not use, since readers know another one.

use std::path::{Path, PathBuf};

/// A word, and the word to use.
const WORDS: [(&str, &str); 11] = [
    ("folder", "directory"),
    ("folders", "directories"),
    ("keeper", "standby"),
    ("leftovers", "orphaned workers"),
    ("neighbour", "sibling program"),
    ("nobody", "no user, no process"),
    ("somebody", "another user, another process"),
    ("stranger", "mismatch, foreign process"),
    ("stray", "orphaned workers"),
    ("unborn", "pre_exec"),
    ("whoever", "the user who"),
];

/// Uses that stay: messages and output of programs to the letter, and the user nobody.
const ALLOWED: [&str; 4] = [
    ".Li nobody ,",
    "user nobody",
    "user = nobody",
    "(\"nobody\")",
];

/// Names that functions, types, constants and modules do not bear, since they have two meanings or none
/// that readers know.
const NAMES: [&str; 26] = [
    "Act", "Attempt", "Begun", "Call", "Inbox", "Lost", "Manner", "Meaning", "Notices", "Patience",
    "Place", "Question", "Session", "Sight", "Stage", "Tidier", "Voice", "Watch", "earlier",
    "excerpt", "hear", "lies", "lose", "plain", "tell", "told",
];

/// Words that begin no doc comment: the subject comes first.
const BEGINNINGS: [&str; 6] = ["It", "What", "Whether", "Who", "Whom", "Whose"];

/// The directories of sources that are free of these.
const SOURCES: [&str; 14] = [
    "shared/cli/src",
    "shared/installed",
    "shared/records/src",
    "shared/server/src",
    "shared/sys/src",
    "tests/helpers/src",
    "tools/swift-check-config/src",
    "tools/swift-init/src",
    "tools/swift-pidfile/src",
    "tools/swift-reload/src",
    "tools/swift-resolve-servers/src",
    "tools/swift-serve/src",
    "tools/swift-signal/src",
    "tools/swift-spawn/src",
];

/// The files beneath a directory that are text.
fn files(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the directory can be read") {
        let path = entry.expect("the directory can be read").path();
        match path.is_dir() {
            true => files(&path, all),
            false => all.push(path),
        }
    }
}

/// The words of a line in lower case. Names are taken apart, such as PidFile and pid_file.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in line.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        let word = words.last_mut().expect("there is always one");
        word.extend(c.to_lowercase().filter(|c| c.is_alphabetic()));
    }
    words
}

/// The name that a line of a source defines.
fn defined(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.find(|word| {
        [
            "fn", "struct", "enum", "const", "static", "trait", "type", "mod",
        ]
        .contains(word)
    })?;
    words.next()
}

/// The faults of a line of a source.
fn faults(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in words(line) {
        all.extend(
            WORDS
                .iter()
                .filter(|(wrong, _)| *wrong == word)
                .map(|found| format!("{found:?}")),
        );
    }
    let name = defined(line).filter(|name| NAMES.contains(name));
    all.extend(name.map(|name| format!("the name {name}")));
    let line = line.trim_start();
    let comment = line
        .strip_prefix("/// ")
        .or_else(|| line.strip_prefix("//! "));
    let first = comment.and_then(|text| text.split_whitespace().next());
    let first = first.filter(|first| BEGINNINGS.contains(first));
    all.extend(first.map(|first| format!("a comment begins with {first}")));
    all
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let names = "README.md SECURITY.md CONTRIBUTING.md ARCHITECTURE.md shared/README.md tests/README.md \
                 tests/bench/README.md";
    let mut pages: Vec<PathBuf> = names.split_whitespace().map(|n| root.join(n)).collect();
    for entry in std::fs::read_dir(root.join("man")).expect("the pages are there") {
        pages.push(entry.expect("the directory can be read").path());
    }
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

#[test]
fn pages_use_the_words_that_readers_know() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("the page can be read");
        for (number, line) in (1..).zip(text.lines()) {
            if ALLOWED.iter().any(|allowed| line.contains(allowed)) {
                continue;
            }
            let line = line.to_lowercase();
            for word in line.split(|c: char| !c.is_alphabetic()) {
                let found = WORDS.iter().find(|(wrong, _)| *wrong == word);
                assert!(found.is_none(), "{}:{number}: {found:?}", page.display());
            }
        }
    }
}

#[test]
fn sources_use_the_words_that_readers_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Vec::new();
    SOURCES
        .iter()
        .for_each(|dir| files(&root.join(dir), &mut sources));
    assert!(sources.len() > 100, "{sources:?}");
    let mut found = Vec::new();
    for source in sources {
        let Ok(text) = std::fs::read_to_string(&source) else {
            continue;
        };
        for (number, line) in (1..).zip(text.lines()) {
            if ALLOWED.iter().any(|allowed| line.contains(allowed)) {
                continue;
            }
            let faults = faults(line).into_iter();
            found.extend(faults.map(|fault| format!("{}:{number}: {fault}", source.display())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
