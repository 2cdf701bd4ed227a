//! A client of small HTTP servers, to be run where the server is, in a test's namespaces too.
//!
//! - `http-client get ADDRESS PATH` prints the body of the answer; exits 1 when there is none.
//! - `http-client load ADDRESS NEW KEPT [PATH]` sends requests without a pause until its input ends: NEW
//!   clients with a new connection for each, KEPT clients on connections that they keep. Prints
//!   `loading` when every client has had its first answer, and at the end one line of counts.
//!
//! ADDRESS is `HOST:PORT` or `unix:PATH`.
#![forbid(unsafe_code)]

mod connection;
mod load;

use std::io::{Result, Write};
use std::process::ExitCode;

use connection::{Connection, Failure};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["get", address, path] => get(address, path),
        ["load", address, new, kept] => load(address, "/", new, kept),
        ["load", address, new, kept, path] => load(address, path, new, kept),
        _ => Err(std::io::Error::other(
            "get ADDRESS PATH | load ADDRESS NEW KEPT [PATH]",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere to report to when standard error is gone.
            let _ = writeln!(std::io::stderr(), "http-client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn get(address: &str, path: &str) -> Result<()> {
    let answer = Connection::open(address)
        .map_err(Failure::Connect)
        .and_then(|mut connection| connection.get(path, false));
    let answer = answer.map_err(|failure| std::io::Error::other(format!("{failure:?}")))?;
    std::io::stdout().write_all(&answer.body)
}

fn load(address: &str, path: &str, new: &str, kept: &str) -> Result<()> {
    match (new.parse(), kept.parse()) {
        (Ok(new), Ok(kept)) => load::run(address, path, new, kept),
        _ => Err(std::io::Error::other("no numbers of clients")),
    }
}
