//! The list of servers and groups, for a person or a script.

use std::io::Write;

use swift_cli::program::SearchPath;
use swift_records::catalogue::Catalogue;

/// Writes one line a server: its name, its groups, its program, and whether
/// that is installed.
pub fn write(catalogue: &Catalogue, path: &SearchPath, to: &mut impl Write) -> std::io::Result<()> {
    let groups: Vec<(&str, Vec<&str>)> = catalogue
        .groups()
        .map(|group| (group, catalogue.members(group).unwrap_or_default()))
        .collect();
    for server in catalogue.servers.iter() {
        let of_server: Vec<&str> = groups
            .iter()
            .filter(|(_, members)| members.contains(&server.name.as_ref()))
            .map(|(group, _)| *group)
            .collect();
        let installed = match path.find(&server.command) {
            Some(_) => "installed",
            None => "missing",
        };
        let (name, command) = (&server.name, &server.command);
        writeln!(
            to,
            "{name}\t{}\t{command}\t{installed}",
            of_server.join(",")
        )?;
    }
    to.flush()
}
