//! Servers under swift-serve of which the catalogue says nothing: the process
//! itself shows what it is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use swift_records::catalogue::Server;
use swift_server::process::{CommandLine, Pid};

/// The program that runs servers of other kinds: swift-serve(1).
const SERVE: &str = "swift-serve";

/// The server that a process of swift-serve is: one that executes swift-serve
/// and bears its file's name, or has it as the argument; see swift-serve(1).
pub fn server(pid: Pid, line: &CommandLine) -> Option<Server> {
    let base = |word: &OsStr| Path::new(word).file_name().map(OsStr::to_owned);
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    // The kernel says so of a program that was replaced since.
    let program = program.as_os_str().as_bytes();
    let program = program.strip_suffix(b" (deleted)").unwrap_or(program);
    if base(OsStr::from_bytes(program))? != SERVE {
        return None;
    }
    let mut words = line.args();
    let mut file = words.next()?;
    if base(file)? == SERVE {
        file = words.find(|word| !word.as_bytes().starts_with(b"-"))?;
    }
    let command = base(file)?.into_string().ok()?;
    let name = command.strip_prefix("swift-").unwrap_or(&command);
    let mut server = Server::unlisted(name);
    server.command = command.clone().into();
    server.be_served();
    Some(server)
}
