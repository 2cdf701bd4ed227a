//! What holds for hostile rows and files: for every input, each property is a plain function of bytes
//! that panics when it does not hold.
//!
//! Two things feed them. `make test` plays the committed inputs in `corpus/`, and mutations of them
//! from a fixed seed, on the stable toolchain. `make fuzz` hands them to libFuzzer (`targets/`).
//! What the fuzzer finds becomes a line in `corpus/`.
//!
//! Each property says in its comment against which deliberately broken build it was seen to fail.
#![forbid(unsafe_code)]

mod arguments;
mod catalogue;
mod config;
pub mod corpus;
mod cursor;
mod folder;
pub mod growth;
mod instance;
pub mod mutate;
mod pidfile;
mod process;
mod row;
mod scan;
mod stream;
mod tools;
mod words;

/// A property, by the name of its corpus.
pub struct Property {
    /// The name of the file in `corpus/`, less its ending.
    pub name: &'static str,
    /// Panics when the property does not hold for the input.
    pub check: fn(&[u8]),
    /// How many mutations `make test` tries: a debug build does them in about a second.
    pub mutations: usize,
}

macro_rules! properties {
    ($($name:literal, $check:path, $mutations:literal;)+) => {
        /// All properties.
        pub const ALL: &[Property] = &[
            $(Property { name: $name, check: $check, mutations: $mutations },)+
        ];
    };
}

properties! {
    "pidfile", pidfile::check, 1_000;
    "command_line", process::command_line, 10_000;
    "status", process::status, 3_000;
    "unit", process::unit, 5_000;
    "row", row::check, 20_000;
    "arguments", arguments::check, 5_000;
    "number", arguments::number, 5_000;
    "init", arguments::init, 500;
    "catalogue", catalogue::check, 400;
    "glob", catalogue::glob, 400;
    "instance", instance::check, 10_000;
    "scan", scan::check, 400;
    "section", config::section, 1_000;
    "serve", config::serve, 500;
    "text", words::text, 5_000;
    "excerpt", words::excerpt, 50;
    "notify", words::notify, 2_000;
    "stream", stream::check, 120;
}

/// The property of that name.
///
/// # Panics
/// When there is none.
pub fn named(name: &str) -> &'static Property {
    let found = ALL.iter().find(|property| property.name == name);
    found.unwrap_or_else(|| panic!("no property is named {name}"))
}
