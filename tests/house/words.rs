//! Words that pages and documents do not use, since readers know another one.

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
const ALLOWED: [&str; 2] = ["is held by somebody else for 10 s", ".Li nobody ,"];

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
