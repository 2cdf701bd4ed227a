//! Completions for shells, from a tool's table of options. The files lie in
//! `shared/installed/completions/`; a test of each tool compares them with these.

use swift_cli::{CommandLine, Opt, Tool};

/// A shell that completes words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash(1).
    Bash,
    /// fish(1).
    Fish,
    /// zsh(1).
    Zsh,
}

impl Shell {
    /// All of them.
    pub const ALL: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

    /// The name of a tool's file.
    pub fn file_name(self, tool: &Tool) -> String {
        match self {
            Shell::Bash => format!("{}.bash", tool.name),
            Shell::Fish => format!("{}.fish", tool.name),
            Shell::Zsh => format!("_{}", tool.name),
        }
    }

    /// The file: the tool's options, and the words that can be its operands.
    pub fn file<O, T>(self, line: &CommandLine<O, T>, words: &[&str]) -> String {
        let name = line.tool.name;
        match self {
            Shell::Bash => {
                let options = line.options.iter().flat_map(spellings);
                let all: Vec<String> = options
                    .chain(words.iter().map(|w| (*w).to_owned()))
                    .collect();
                format!("complete -o default -W '{}' {name}\n", all.join(" "))
            }
            Shell::Fish => {
                let mut file = String::new();
                for opt in line.options {
                    let short = opt.short.map(|c| format!(" -s {c}")).unwrap_or_default();
                    let value = if opt.value_name().is_some() {
                        " -r"
                    } else {
                        ""
                    };
                    let help = quote(&opt.help.replace('\n', " "));
                    file += &format!(
                        "complete -c {name}{short} -l {}{value} -d {help}\n",
                        opt.long
                    );
                }
                if !words.is_empty() {
                    file += &format!("complete -c {name} -a '{}'\n", words.join(" "));
                }
                file
            }
            Shell::Zsh => {
                let mut file = format!("#compdef {name}\n_arguments -s");
                for opt in line.options {
                    // A colon and a bracket part what _arguments is told.
                    let help = opt
                        .help
                        .replace('\n', " ")
                        .replace('[', "(")
                        .replace(']', ")")
                        .replace(':', ";");
                    let value = opt
                        .value_name()
                        .map(|v| format!(":{v}:_files"))
                        .unwrap_or_default();
                    let equals = if opt.value_name().is_some() { "=" } else { "" };
                    for word in spellings(opt) {
                        let equals = if word.starts_with("--") { equals } else { "" };
                        file += &format!(
                            " \\\n  {}",
                            quote(&format!("{word}{equals}[{help}]{value}"))
                        );
                    }
                }
                if words.is_empty() {
                    file + "\n"
                } else {
                    file + &format!(" \\\n  '*:word:({})'\n", words.join(" "))
                }
            }
        }
    }
}

fn spellings<O>(opt: &Opt<O>) -> Vec<String> {
    let short = opt.short.map(|c| format!("-{c}"));
    short
        .into_iter()
        .chain([format!("--{}", opt.long)])
        .collect()
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_cli::{Exit, no_operand};

    static TOOL: Tool = Tool {
        name: "swift-x",
        usage: "",
        about: "",
        example: "",
        pages: &[],
        unable: Exit::Failed,
    };

    static COMMAND_LINE: CommandLine<()> = CommandLine {
        tool: &TOOL,
        options: &[
            Opt::HELP,
            Opt::<()>::value(None, "wait", "S", |()| unreachable!()).help("don't wait longer"),
        ],
        operand: no_operand,
        checked: Ok,
    };

    #[test]
    fn every_option_is_completed() {
        assert_eq!(
            Shell::Bash.file(&COMMAND_LINE, &["stop"]),
            "complete -o default -W '-h --help --wait stop' swift-x\n"
        );
        assert_eq!(
            Shell::Fish.file(&COMMAND_LINE, &["stop"]),
            "complete -c swift-x -s h -l help -d 'show this help and exit'\n\
             complete -c swift-x -l wait -r -d 'don'\\''t wait longer'\n\
             complete -c swift-x -a 'stop'\n"
        );
        assert_eq!(
            Shell::Zsh.file(&COMMAND_LINE, &[]),
            "#compdef swift-x\n_arguments -s \\\n  '-h[show this help and exit]' \\\n  \
             '--help[show this help and exit]' \\\n  '--wait=[don'\\''t wait longer]:S:_files'\n"
        );
    }
}
