//! The help text: that of all tools, with the commands and the tools that carry them out.

use crate::options::{COMMAND_LINE, COMMANDS};

const SERVERS: &str = "\
SERVER is a server (proxy, object-replicator), a group (main, rest, all) or a
glob ('object-*'). CONFIG is one of its configs: object.2 is that of
/etc/swift/object-server/2.conf.
";

const TOOLS: &str = "\
It is a pipeline of swift-resolve-servers, swift-pidfile, swift-check-config,
swift-signal, swift-reload and swift-spawn. Each can be used alone.
";

/// The whole text.
pub fn text() -> String {
    let width = COMMANDS.iter().map(|(name, ..)| name.len()).max();
    let width = width.unwrap_or_default();
    let commands = COMMANDS.iter();
    let commands: String = commands
        .map(|(name, _, about)| format!("  {name:width$}  {about}\n"))
        .collect();
    let before = format!("{SERVERS}\n{TOOLS}\nCommands:\n{commands}\nOptions:\n");
    COMMAND_LINE.help().replacen("Options:\n", &before, 1)
}
