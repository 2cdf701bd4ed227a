//! Makes what two runs gave comparable: pids get names, and what has no order gets one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use test_helpers::{Outcome, SERVERS};

const LIMIT_WARNING: &str = "WARNING: Unable to modify";

/// The names given so far. A pid is called after the pid file in which it was first seen:
/// `<object-server/1>`, the next one in that file `<object-server/1#2>`; one that was only printed
/// `<?>`, `<?#2>` and so on.
#[derive(Debug)]
pub struct Normal {
    run_dir: PathBuf,
    /// Whether the lines about limits count.
    limits: bool,
    names: BTreeMap<u32, String>,
    counts: BTreeMap<String, u32>,
    /// The run directory as it was last seen.
    last: String,
}

impl Normal {
    /// Knows no pid yet. The warnings about limits depend on the machine, so they count only where
    /// `limits` are what it is about.
    pub fn new(run_dir: PathBuf, limits: bool) -> Normal {
        Normal {
            run_dir,
            limits,
            names: BTreeMap::new(),
            counts: BTreeMap::new(),
            last: String::new(),
        }
    }

    /// Names the pids in the run directory, and remembers how it looks.
    pub fn look(&mut self) {
        self.last = self.tree();
    }

    /// A step's output, its exit status, and the run directory if the step changed it.
    pub fn result(&mut self, outcome: &Outcome) -> String {
        let mut tree = self.tree();
        let stdout = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let limits = self.limits;
        let named: Vec<String> = stdout
            .lines()
            .filter(|line| limits || !line.starts_with(LIMIT_WARNING))
            .map(|line| self.name_in(line))
            .collect();
        let mut text = String::new();
        for line in in_order(named) {
            writeln!(text, "{line}").expect("a string can be written");
        }
        if !(stdout.is_empty() || stdout.ends_with('\n')) {
            text.push_str("(no newline at the end)\n");
        }
        writeln!(text, "exit: {}", outcome.code()).expect("a string can be written");
        if tree == self.last {
            return text;
        }
        self.last.clone_from(&tree);
        if tree.is_empty() {
            tree.push_str("run: empty\n");
        }
        text + &tree
    }

    /// The run directory: a line for each entry with its mode and content, but for hidden ones.
    fn tree(&mut self) -> String {
        let mut text = String::new();
        let run_dir = self.run_dir.clone();
        self.directory(&run_dir, &mut text);
        text
    }

    fn directory(&mut self, path: &Path, text: &mut String) {
        let entries = fs::read_dir(path).expect("the run directory can be read");
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.sort();
        for path in paths {
            let relative = path
                .strip_prefix(&self.run_dir)
                .expect("it lies beneath")
                .display()
                .to_string();
            if relative
                .rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with('.'))
            {
                continue;
            }
            let metadata = path.symlink_metadata().expect("nobody else changes it");
            let mode = metadata.permissions().mode() & 0o7777;
            write!(text, "run: {relative}").expect("a string can be written");
            if metadata.is_dir() {
                writeln!(text, "/ {mode:o}").expect("a string can be written");
                self.directory(&path, text);
            } else if metadata.is_file() {
                let content = fs::read(&path).expect("root reads every file");
                let content = self.name_of_content(&relative, &String::from_utf8_lossy(&content));
                writeln!(text, " {mode:o} {content}").expect("a string can be written");
            } else {
                writeln!(text, " is no file").expect("a string can be written");
            }
        }
    }

    fn name_of_content(&mut self, file: &str, content: &str) -> String {
        let number = content.trim();
        match number.parse() {
            Ok(pid) if number.chars().all(|c| c.is_ascii_digit()) && pid > 1 => {
                let name = self.name(pid, &file.replacen(".pid", "", 1));
                format!("{:?}", content.replacen(number, &name, 1))
                    .trim_matches('"')
                    .to_owned()
            }
            _ => format!("{content:?}"),
        }
    }

    fn name(&mut self, pid: u32, called: &str) -> String {
        if let Some(name) = self.names.get(&pid) {
            return name.clone();
        }
        let count = self.counts.entry(called.to_owned()).or_insert(0);
        *count += 1;
        let name = match *count {
            1 => format!("<{called}>"),
            later => format!("<{called}#{later}>"),
        };
        self.names.insert(pid, name.clone());
        name
    }

    /// The line with its pids named: numbers in the places where swift-init writes pids.
    fn name_in(&mut self, line: &str) -> String {
        const BEFORE: [&str; 4] = ["pid: ", "wrong pid ", "PID ", "("];
        let mut named = String::new();
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let length = from
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(from.len());
            let (digits, after) = from.split_at(length);
            named.push_str(before);
            match digits.parse() {
                Ok(pid) if BEFORE.iter().any(|place| named.ends_with(place)) => {
                    named.push_str(&self.name(pid, "?"));
                }
                _ => named.push_str(digits),
            }
            rest = after;
        }
        named + rest
    }
}

/// The lines server by server, since the original keeps its servers in a set. A line that names no
/// server, or is indented, belongs to the line before it. Processes that end at the same time may be
/// seen in any order.
fn in_order(lines: Vec<String>) -> Vec<String> {
    const ENDED: &str = "appears to have stopped";
    let mut server = "";
    let mut keyed: Vec<(&str, String)> = Vec::new();
    for line in lines {
        if !line.starts_with(' ') {
            server = first_server(&line).unwrap_or(server);
        }
        keyed.push((server, line));
    }
    keyed.sort_by_key(|(server, _)| *server);
    let mut lines: Vec<String> = keyed.into_iter().map(|(_, line)| line).collect();
    for group in lines.chunk_by_mut(|one, next| one.ends_with(ENDED) && next.ends_with(ENDED)) {
        group.sort();
    }
    lines
}

/// The server that is named first in a line.
fn first_server(line: &str) -> Option<&'static str> {
    let places = SERVERS
        .iter()
        .filter_map(|&server| Some((line.find(server)?, server)));
    places.min().map(|(_, server)| server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal() -> Normal {
        Normal::new(PathBuf::from("/nowhere"), true)
    }

    #[test]
    fn only_pids_are_named() {
        let line = "Signal object-server  pid: 4711  signal: 15";
        assert_eq!(
            normal().name_in(line),
            "Signal object-server  pid: <?>  signal: 15"
        );
        let line = "object-server (12) appears to have stopped";
        assert_eq!(
            normal().name_in(line),
            "object-server (<?>) appears to have stopped"
        );
        let line = "Waited 15 seconds for object-server to die; giving up";
        assert_eq!(normal().name_in(line), line);
        let line = "Starting object-server...(/etc/swift/object-server/1.conf)";
        assert_eq!(normal().name_in(line), line);
    }

    #[test]
    fn servers_stand_together() {
        let lines = [
            "No proxy-server running",
            "No object-server running",
            "its output",
        ];
        let ordered = in_order(lines.map(str::to_owned).to_vec());
        assert_eq!(
            ordered,
            [
                "No object-server running",
                "its output",
                "No proxy-server running"
            ]
        );
    }
}
