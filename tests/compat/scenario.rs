//! How scenarios are written, and judged.
//!
//! ```text
//! = A title, which is unique
//! # Why this is so.
//! install object-server proxy-server      these programs instead of all 18
//! script object-server                    this program as a script with an interpreter
//! root                                    not without root: it needs a second user
//! conf object-server/1.conf               a file beneath /etc/swift, for the fake server to obey;
//!   print = hello                         its settings, or whatever else follows it indented
//! ! rm /run/swift/object-server.pid       a line of shell that both sides need
//! $ swift-init object status              a line of shell that is compared
//! original:                               unless it is known to differ: then what either gives
//! | object-server running (<object-server> - /etc/swift/object-server.conf)
//! | exit: 0
//! | run: object-server.pid 644 <object-server>
//! ours:
//! | No object-server running
//! | exit: 1
//! ```
//!
//! Where the original's answer is left to chance, `original:` is left out. A number before a title is
//! that of the deliberate difference in swift-init(1), DIFFERENCES.

use std::fmt::Write;

use crate::play::Given;

/// One scenario.
#[derive(Debug)]
pub struct Scenario {
    /// The name of its file and its title.
    pub title: String,
    /// The programs to be installed, without `swift-`; all when this is empty.
    pub install: Vec<String>,
    /// The programs to be installed as scripts.
    pub scripts: Vec<String>,
    /// Whether it needs root.
    pub root: bool,
    /// Configuration files and what follows `[DEFAULT]` in them.
    pub confs: Vec<(String, String)>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// A line of shell.
#[derive(Debug)]
pub struct Step {
    /// The line.
    pub line: String,
    /// Whether it is compared.
    pub compared: bool,
    /// What the original gives, when it is known to differ.
    original: Option<String>,
    /// What ours gives, when it is known to differ.
    ours: Option<String>,
}

/// Reads a file of scenarios.
///
/// # Panics
/// On a line that makes no sense.
pub fn parse(file: &str, text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut block = Block::None;
    for (index, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("= ") {
            scenarios.push(Scenario::new(format!("{file}: {title}")));
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let scenario = scenarios.last_mut().expect("a title comes first");
        let known = scenario.read_line(line, &mut block);
        assert!(
            known,
            "{file}.txt: line {}: cannot be understood: {line}",
            index + 1
        );
    }
    scenarios
}

/// What an indented or marked line belongs to.
enum Block {
    None,
    Conf,
    Original,
    Ours,
}

impl Scenario {
    fn new(title: String) -> Scenario {
        Scenario {
            title,
            install: vec![],
            scripts: vec![],
            root: false,
            confs: vec![],
            steps: vec![],
        }
    }

    /// Takes one line in. Says whether it could be understood.
    fn read_line(&mut self, line: &str, block: &mut Block) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match (word, &*block) {
            ("install", _) => self
                .install
                .extend(rest.split_whitespace().map(str::to_owned)),
            ("root", _) => self.root = true,
            ("script", _) => self.scripts.push(rest.to_owned()),
            ("conf", _) => {
                self.confs.push((rest.to_owned(), String::new()));
                *block = Block::Conf;
                return true;
            }
            ("", Block::Conf) => {
                let (_, content) = self.confs.last_mut().expect("a conf line came before");
                writeln!(content, "{rest}").expect("a string can be written");
                return true;
            }
            ("$" | "!", _) => self.steps.push(Step {
                line: rest.to_owned(),
                compared: word == "$",
                original: None,
                ours: None,
            }),
            ("original:" | "ours:", _) => {
                let original = word == "original:";
                *block = if original {
                    Block::Original
                } else {
                    Block::Ours
                };
                let Some(step) = self.steps.last_mut() else {
                    return false;
                };
                *(if original {
                    &mut step.original
                } else {
                    &mut step.ours
                }) = Some(String::new());
                return true;
            }
            ("|", Block::Original | Block::Ours) => {
                let Some(step) = self.steps.last_mut() else {
                    return false;
                };
                let wanted = match block {
                    Block::Original => &mut step.original,
                    _ => &mut step.ours,
                };
                let text = line.strip_prefix("| ").unwrap_or("");
                writeln!(wanted.get_or_insert_default(), "{text}").expect("it can be written");
                return true;
            }
            _ => return false,
        }
        *block = Block::None;
        true
    }

    fn compared(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.compared)
    }

    /// The scenario with what one side gave.
    pub fn transcript(&self, given: &[Given]) -> String {
        let mut text = format!("= {}\n", self.title);
        for (step, given) in self.compared().zip(given) {
            text += &format!("$ {}\n{}", step.line, bars(&given.seen));
        }
        text
    }

    /// What differs from the scenario, if anything does.
    pub fn differences(&self, original: &[Given], ours: &[Given]) -> Option<String> {
        let mut text = String::new();
        for (step, (original, ours)) in self.compared().zip(original.iter().zip(ours)) {
            if let Some(complaint) = step.judge(&original.seen, &ours.seen) {
                text += &format!("$ {}\n# {complaint}\n", step.line);
                text += &format!("original:\n{}", bars(&original.seen));
                text += &format!("ours:\n{}", bars(&ours.seen));
                text.extend(
                    ours.stderr
                        .lines()
                        .map(|line| format!("# stderr: {line}\n")),
                );
            }
        }
        (!text.is_empty()).then(|| format!("= {}\n{text}", self.title))
    }
}

impl Step {
    fn judge(&self, original: &str, ours: &str) -> Option<&'static str> {
        let Some(wanted) = &self.ours else {
            return (original != ours).then_some("ours differs from the original");
        };
        if ours != wanted {
            return Some("ours differs from what is written here");
        }
        match &self.original {
            Some(known) if original != known => {
                Some("the original differs from what is written here")
            }
            Some(_) if original == ours => Some("no difference is left"),
            _ => None,
        }
    }
}

fn bars(text: &str) -> String {
    text.lines()
        .map(|line| format!("| {line}").trim_end().to_owned() + "\n")
        .collect()
}
