//! The promises of SECURITY.md: each has a test, and each test that the page names exists.

use std::collections::BTreeSet;
use std::path::Path;

/// The promises: the text in bold at the start of each item below "Promises".
fn promises(page: &str) -> Vec<&str> {
    let section = page.split("\n## Promises\n").nth(1).expect("promises");
    let section = section.split("\n### ").next().expect("text");
    let items = section.split("\n- **").skip(1);
    items
        .map(|item| item.split("**").next().expect("a promise"))
        .collect()
}

/// Rows of a table with this first line: the first column, and the words in backquotes of the last one.
fn rows<'a>(page: &'a str, head: &str) -> Vec<(&'a str, Vec<&'a str>)> {
    let table = page.split(head).nth(1).expect("the table is there");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let columns: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let tests = columns
            .last()
            .expect("columns")
            .split('`')
            .skip(1)
            .step_by(2);
        (columns[0], tests.collect())
    })
    .collect()
}

/// The names of all tests in Rust sources beneath a directory.
fn tests(dir: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).expect("the directory can be read") {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            tests(&path, names);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            for test in text.split("#[test]").skip(1) {
                let name = test
                    .split("fn ")
                    .nth(1)
                    .and_then(|rest| rest.split('(').next());
                names.extend(name.map(str::to_owned));
            }
        }
    }
}

fn all_tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut names = BTreeSet::new();
    for dir in ["shared", "tools", "tests"] {
        tests(&root.join(dir), &mut names);
    }
    assert!(names.len() > 400, "the tests are found");
    names
}

const PAGE: &str = include_str!("../../SECURITY.md");

#[test]
fn each_promise_has_tests() {
    let promises = promises(PAGE);
    let rows = rows(PAGE, "| promise | tests |");
    assert!(promises.len() > 20, "{promises:?}");
    let named: Vec<&str> = rows.iter().map(|(promise, _)| *promise).collect();
    assert_eq!(named, promises, "the table has each promise, in order");
    for (promise, tests) in &rows {
        assert!(!tests.is_empty(), "{promise}: no test");
    }
}

#[test]
fn each_named_test_exists() {
    let all = all_tests();
    let attacks = rows(PAGE, "| attack | result | test |");
    assert!(attacks.len() > 20, "{attacks:?}");
    for (what, tests) in [rows(PAGE, "| promise | tests |"), attacks].concat() {
        // Others name a directory of tests and a module in it.
        for test in tests.into_iter().filter(|test| test.contains('_')) {
            assert!(all.contains(test), "{what}: there is no test {test}");
        }
    }
}
