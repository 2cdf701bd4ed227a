//! Runs the transcripts of the package that this is compiled for: those in the folder beside this
//! file that bears its tool's name. Each tool's Cargo.toml names this file as its test.
//!
//! A transcript `X.trycmd` begins in a copy of `X.in/`, when there is one. There, `bin/` is the first
//! folder on PATH, then come the tools, then the system's programs.

use std::fs;
use std::path::Path;

/// The programs that a line can begin with, beside the tool. In a line of shell all can be used.
const PROGRAMS: [&str; 3] = ["sh", "cat", "ls"];

const TOOL: &str = env!("CARGO_PKG_NAME");
const BINARY: &str = env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME")));

fn folder() -> String {
    format!(
        "{}/../../tests/transcripts/{TOOL}",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[test]
fn transcripts_are_true() {
    let tools = Path::new(BINARY).parent().expect("it lies in a folder");
    let cases = trycmd::TestCases::new();
    cases
        .env("PATH", format!("bin:{}:/usr/bin:/bin", tools.display()))
        .env("LANG", "C.UTF-8")
        .register_bin(TOOL, Path::new(BINARY));
    for program in PROGRAMS {
        cases.register_bin(program, Path::new("/bin").join(program));
    }
    cases.case(format!("{}/*.trycmd", folder()));
    cases.case(format!("{}/*.toml", folder()));
}

/// A line with a program that trycmd does not know is skipped without a word, and so is a file that
/// no glob matches.
#[test]
fn no_transcript_is_skipped() {
    let mut transcripts = 0;
    for entry in fs::read_dir(folder()).expect("the tool has transcripts") {
        let path = entry.expect("the folder can be read").path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("trycmd") => {
                transcripts += 1;
                let text = fs::read_to_string(&path).expect("it can be read");
                let mut lines = 0;
                for line in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
                    lines += 1;
                    let program = line.split(' ').find(|word| !word.contains('='));
                    assert!(program.is_some_and(is_known), "{}: {line}", path.display());
                }
                assert!(lines > 0, "{}: no line begins with $", path.display());
            }
            Some("toml") => transcripts += 1,
            Some("in" | "out" | "stdin" | "stdout" | "stderr") => {}
            _ => panic!("{}: nothing that is run", path.display()),
        }
    }
    assert!(transcripts > 0);
}

fn is_known(program: &str) -> bool {
    program == TOOL || PROGRAMS.contains(&program)
}
