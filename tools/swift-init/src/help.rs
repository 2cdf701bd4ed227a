//! The help text, laid out as the original's (Python's optparse).

use crate::options::{COMMANDS, TOOL};

/// Where the options' descriptions begin.
const COLUMN: usize = 24;
/// How wide the text is: what optparse makes of 80 columns.
const WIDTH: usize = 78;

const WHERE: &str = "\
where:
    <server>  is the name of a swift service e.g. proxy-server.
              The '-server' part of the name may be omitted.
              'all', 'main' and 'rest' are reserved words that represent a
              group of services.
              all: Expands to all swift daemons.
              main: Expands to main swift daemons.
                    (proxy, container, account, object)
              rest: Expands to all remaining background daemons (beyond
                    \"main\").
                    (updater, replicator, auditor, etc)
    <config>  is an explicit configuration filename without the
              .conf extension. If <config> is specified then <server> should
              refer to a directory containing the configuration file, e.g.:

                  swift-init object.1 start

              will start an object-server using the configuration file
              /etc/swift/object-server/1.conf
    <command> is a command from the list below.

Commands:
";

/// The whole text.
pub fn text() -> String {
    let mut out = format!("Usage: {} {}\n\n{WHERE}", TOOL.name, TOOL.usage);
    for (name, _, about) in COMMANDS {
        out.push_str(&format!("{name:>16}: {about}\n"));
    }
    out.push_str("\nOptions:\n");
    for option in TOOL.options {
        let left = format!("  {}", option.spelling());
        out.push_str(&left);
        let mut lines = wrap(option.help).into_iter();
        if left.len() + 2 > COLUMN {
            out.push('\n');
        } else if let Some(first) = lines.next() {
            out.push_str(&format!("{:1$}{first}\n", "", COLUMN - left.len()));
        }
        for line in lines {
            out.push_str(&format!("{:COLUMN$}{line}\n", ""));
        }
    }
    out
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one");
        let fits = line.len() + 1 + word.len() <= WIDTH - COLUMN;
        if line.is_empty() {
            line.push_str(word);
        } else if fits {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
