//! Reads servers.toml when the tools are built, and writes what it says as Rust:
//! reading it at every start would cost each tool a tenth of a millisecond.
//!
//! The catalogue's own code reads it, so what is wrong in servers.toml fails the
//! build with the line that is at fault.

// Only what reads the file is used here.
#![allow(dead_code, unused_imports)]

#[path = "src/catalogue/mod.rs"]
mod catalogue;
#[path = "src/plain.rs"]
mod plain;
#[path = "src/signals.rs"]
mod signals;

/// What is written here stands in the place of this in the tools.
mod built_in {
    pub fn catalogue() -> crate::catalogue::Catalogue {
        crate::catalogue::Catalogue::empty()
    }
}

use std::path::Path;

use catalogue::{Catalogue, Server, Source, Word};
use signals::Signal;

fn main() {
    for path in [
        "servers.toml",
        "src/catalogue",
        "src/plain.rs",
        "src/signals.rs",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
    let text = std::fs::read_to_string("servers.toml").expect("servers.toml can be read");
    let mut catalogue = Catalogue::empty();
    if let Err(error) = catalogue.add(&text, "servers.toml") {
        panic!("{error:#}");
    }
    let folder = std::env::var_os("OUT_DIR").expect("cargo says where");
    std::fs::write(Path::new(&folder).join("built_in.rs"), rust(&catalogue))
        .expect("the folder is ours");
}

/// An expression of the catalogue, whose servers are there when a tool starts.
fn rust(catalogue: &Catalogue) -> String {
    let servers: String = catalogue.servers.iter().map(server).collect();
    let limits = &catalogue.limits;
    assert!(catalogue.own_groups().is_empty(), "groups are a site's");
    format!(
        "{{
            static SERVERS: &[Server] = &[{servers}];
            let mut catalogue = Catalogue::empty();
            catalogue.servers = Cow::Borrowed(SERVERS);
            catalogue.run_dir = {:?}.into();
            catalogue.kill_wait = Duration::from_secs({});
            catalogue.limits = Limits {{ files: {}, data: {}, processes: {} }};
            catalogue
        }}",
        catalogue.run_dir,
        catalogue.kill_wait.as_secs(),
        limits.files,
        limits.data,
        limits.processes,
    )
}

fn server(server: &Server) -> String {
    let signal = |signal: Signal| format!("Signal::from_number({}).unwrap()", signal.number());
    let seamless = match server.seamless {
        Some(number) => format!("Some({})", signal(number)),
        None => "None".to_owned(),
    };
    let swift = match server.swift {
        Some(kind) => format!("Some(Kind::{kind:?})"),
        None => "None".to_owned(),
    };
    let sources: String = server.sources.iter().map(source).collect();
    format!(
        "Server {{
            name: {}, command: {}, group: {},
            sources: Cow::Borrowed(&[{sources}]),
            stop: {}, graceful: {}, seamless: {seamless},
            once: {}, swift: {swift}, check: {}, notify: {}, serve: {},
        }},",
        word(&server.name),
        word(&server.command),
        word(&server.group),
        signal(server.stop),
        signal(server.graceful),
        server.once,
        server.check,
        server.notify,
        server.serve,
    )
}

fn source(source: &Source) -> String {
    let optional = |text: &Option<Word>| match text {
        Some(text) => format!("Some({})", word(text)),
        None => "None".to_owned(),
    };
    format!(
        "Source {{ stem: {}, section: {}, deprecated: {} }},",
        word(&source.stem),
        optional(&source.section),
        optional(&source.deprecated),
    )
}

fn word(text: &str) -> String {
    format!("Cow::Borrowed({text:?})")
}
