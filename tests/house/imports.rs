//! Imports of a source file, by its text: paths that begin with `crate`, `super`, `self`, a crate or a
//! child module. What stands in comments, strings of one line and unit tests does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of a crate by their module paths; the root's is empty.
pub fn files(src: &Path) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    gather(src, "", &mut all);
    all
}

fn gather(dir: &Path, module: &str, all: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the directory can be read") {
        let path = entry.expect("the directory can be read").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.expect("names are UTF-8");
        let name = match (module, stem) {
            (_, "mod" | "lib") => module.to_owned(),
            // The program of a tool: three lines that call its library.
            ("", "main") => continue,
            (_, "tests") => continue,
            ("", stem) => stem.to_owned(),
            (module, stem) => format!("{module}::{stem}"),
        };
        if path.is_dir() {
            gather(&path, &name, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.insert(name, path);
        }
    }
}

/// The code of a file without comments and without the unit tests at its end.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("the file can be read");
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        if line.starts_with("#[cfg(test)]") && next.starts_with("mod ") && next.ends_with('{') {
            break;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// Every path in a text, with groups in braces taken apart: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    // What stands before each open brace of a group, and the path that is being read.
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            path.push(rest[..end].to_owned());
            rest = &rest[end..];
            if let Some(more) = rest.strip_prefix("::") {
                rest = more;
                if let Some(group) = rest.strip_prefix('{') {
                    groups.push(std::mem::take(&mut path));
                    rest = group;
                }
                continue;
            }
        } else {
            if first == '}' {
                groups.pop();
            } else if first == '{' && !groups.is_empty() {
                groups.push(Vec::new());
            }
            rest = &rest[first.len_utf8()..];
        }
        if !path.is_empty() {
            all.push([groups.concat(), std::mem::take(&mut path)].concat());
        }
    }
    all
}

/// The crates of these names that a file uses.
pub fn crates_used(path: &Path, names: &[&str]) -> BTreeSet<String> {
    let firsts = paths(&code(path)).into_iter();
    let firsts = firsts.filter_map(|path| path.into_iter().next());
    firsts
        .filter(|first| names.contains(&first.as_str()))
        .collect()
}

/// The files of its own crate that a file uses.
pub fn files_used(
    module: &str,
    path: &Path,
    files: &BTreeMap<String, PathBuf>,
) -> BTreeSet<String> {
    let own: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut used = BTreeSet::new();
    // One word alone is no path, such as `super` in `pub(super)`.
    let paths = paths(&code(path)).into_iter();
    for path in paths.filter(|path| path.len() > 1) {
        let mut base = own.clone();
        let mut parts = path.iter().map(String::as_str).peekable();
        match parts.peek() {
            Some(&"crate") => {
                base.clear();
                parts.next();
            }
            Some(&"self") => drop(parts.next()),
            Some(&"super") => {
                while parts.next_if_eq(&"super").is_some() {
                    base.pop();
                }
            }
            // A child by its name.
            _ => {}
        }
        base.extend(parts);
        // The longest part of the path that is a file.
        let file = (0..=base.len()).rev().find_map(|n| {
            let name = base[..n].join("::");
            files.contains_key(&name).then_some(name)
        });
        let is_own_item = |name: &String| own.join("::") == *name;
        used.extend(file.filter(|name| !is_own_item(name)));
    }
    used
}
