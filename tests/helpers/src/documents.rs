//! A check that all that is written about a tool has all of its options.

use std::fs;
use std::path::{Path, PathBuf};

use crate::completion::Shell;
use swift_cli::CommandLine;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A manual page.
///
/// # Panics
/// When there is none of this name.
pub fn page(name: &str) -> String {
    fs::read_to_string(root().join("man").join(name)).expect("the page is there")
}

/// Panics when an option or the example of `--help` is missing from the tool's
/// manual page, or when the files with completions are not what the table of options makes them. With
/// `COMPLETIONS=write` in the environment the files are written instead.
pub fn check<O, T>(line: &CommandLine<O, T>, words: &[&str]) {
    let tool = line.tool;
    let page = root().join(format!("man/{}.1", tool.name));
    let text = fs::read_to_string(&page).expect("the tool has a manual page");
    let items: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with(".It "))
        .collect();
    for option in line.options {
        let short = option
            .short
            .map(|letter| ["Fl".to_owned(), letter.to_string()]);
        let long = format!("-{}", option.long);
        let found = items.iter().any(|item| {
            let tokens: Vec<&str> = item.split(' ').collect();
            let has_short = short
                .as_ref()
                .is_none_or(|s| tokens.windows(2).any(|pair| pair == s));
            tokens.get(1) == Some(&"Fl") && has_short && tokens.contains(&long.as_str())
        });
        assert!(found, "{} describes no option -{long}", page.display());
    }
    let words_of = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for example in tool.example.lines() {
        assert!(
            words_of(&text).contains(&words_of(example)),
            "{} does not show: {example}",
            page.display()
        );
    }
    for shell in Shell::ALL {
        let file = root()
            .join("shared/installed/completions")
            .join(shell.file_name(tool));
        let wanted = shell.file(line, words);
        if std::env::var_os("COMPLETIONS").is_some_and(|word| word == "write") {
            fs::write(&file, &wanted).expect("the file can be written");
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            found,
            wanted,
            "{} is out of date (COMPLETIONS=write)",
            file.display()
        );
    }
}
