//! The pipeline as a line of shell.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use swift_cli::program::SearchPath;
use swift_cli::text;
use swift_cli::{self as cli, Exit};
use swift_records::catalogue::{Catalogue, Name};

use crate::options::{Command, Options, TOOL};
use crate::plan::{self, ToolCommand};
use crate::tool;

/// Prints the pipelines of a command, after a complaint of each name that is none. A server that is
/// known need not be installed, since the line may be meant for another machine.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let path = SearchPath::from_env();
    let is_there = |name: &str| {
        let server = catalogue.server(name);
        catalogue.knows(name) || path.find(&server.command).is_some()
    };
    let words = options.servers.iter().map(String::as_str);
    let complaints = catalogue.complaints(words, is_there);
    complaints.iter().for_each(|what| TOOL.say(what));
    cli::print(&lines(options, &catalogue)?.concat())?;
    Ok(match complaints[..] {
        [] => Exit::Ok,
        _ => Exit::Failed,
    })
}

/// The pipelines that would carry out a command, a line each. There are two
/// when some servers are reloaded seamlessly and others are restarted.
fn lines(options: &Options, catalogue: &Catalogue) -> anyhow::Result<Vec<String>> {
    if options.command != Command::ReloadSeamless {
        return Ok(vec![line(options, catalogue, &options.servers, false)?]);
    }
    let mut lines = Vec::new();
    for reload in [true, false] {
        let words = options.servers.iter();
        let words: Vec<String> = words
            .flat_map(|word| part_of(catalogue, word, reload))
            .collect();
        if !words.is_empty() {
            lines.push(line(options, catalogue, &words, reload)?);
        }
    }
    Ok(lines)
}

/// The servers of a word that are reloaded, or those that are restarted instead: the word itself, or
/// else their names without those that are not installed, which would be complained of.
fn part_of(catalogue: &Catalogue, word: &str, reload: bool) -> Vec<String> {
    let names = catalogue.select([word]).names;
    let is_in = |name: &&Name| catalogue.server(&name.server).seamless.is_some() == reload;
    let part: Vec<&Name> = names.iter().filter(is_in).collect();
    if part.len() == names.len() && !names.is_empty() {
        return vec![word.to_owned()];
    }
    let path = SearchPath::from_env();
    let is_installed = |name: &Name| {
        let server = catalogue.server(&name.server);
        path.find(&server.command).is_some()
    };
    // Where nothing is installed, the line is meant for another machine.
    let elsewhere = !names.iter().any(is_installed);
    let words = part.iter().filter(|name| elsewhere || is_installed(name));
    words.map(|name| name.word()).collect()
}

fn line(
    options: &Options,
    catalogue: &Catalogue,
    servers: &[String],
    reload: bool,
) -> anyhow::Result<String> {
    let mut commands = plan::observers(options, catalogue, servers);
    if options.command == Command::ReloadSeamless {
        commands[1].arg("--running");
    }
    commands.extend(plan::actors(options, catalogue, reload));
    let commands: Vec<String> = commands.iter().map(shell).collect::<anyhow::Result<_>>()?;
    Ok(commands.join(" | ") + "\n")
}

/// One tool as a shell reads it. Its directory is named only when PATH would not lead to it.
fn shell(command: &ToolCommand) -> anyhow::Result<String> {
    let program = tool::find(command.name)?;
    let on_path = SearchPath::from_env().find(command.name);
    let program = match on_path.is_some_and(|found| found == program) {
        true => OsString::from(command.name),
        false => program.into_os_string(),
    };
    let words = [&program].into_iter().chain(&command.args);
    Ok(words.map(|word| quote(word)).collect::<Vec<_>>().join(" "))
}

fn quote(word: &OsStr) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) if !text.contains(text::steers) => {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
        _ => dollar_quote(word.as_bytes()),
    }
}

/// Quotes bytes that a terminal does not show between simple quotes, in the form of bash, zsh and
/// POSIX.1-2024. Octal digits, since shells disagree on where hexadecimal ones end.
fn dollar_quote(bytes: &[u8]) -> String {
    let mut out = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quote("object-*".as_ref()), "'object-*'");
        assert_eq!(
            quote("--swift-dir=/etc/my swift".as_ref()),
            "'--swift-dir=/etc/my swift'"
        );
        assert_eq!(quote("it's".as_ref()), "'it'\\''s'");
        assert_eq!(quote("object.1".as_ref()), "object.1");
        assert_eq!(quote("gr\u{fc}n".as_ref()), "'gr\u{fc}n'");
    }

    #[test]
    fn no_word_drives_a_terminal_and_a_shell_reads_it_back() {
        let word = OsStr::from_bytes(b"a\x1b[2J1'\\\xff\xc2\x9b\n\xe2\x80\xae");
        let quoted = quote(word);
        assert_eq!(
            quoted,
            "$'a\\033[2J1\\'\\\\\\377\\302\\233\\012\\342\\200\\256'"
        );
    }
}
