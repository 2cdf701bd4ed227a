//! Every property on its committed inputs, and on mutations of them from a fixed seed.
#![forbid(unsafe_code)]

use std::panic::{self, AssertUnwindSafe};

use properties::corpus::{escape, inputs};
use properties::mutate::{Random, mutation};
use properties::{ALL, Property, named};

fn play(name: &str) {
    let property = named(name);
    let mut corpus = inputs(name);
    assert!(!corpus.is_empty(), "{name} has no inputs");
    for input in &corpus {
        try_input(property, input);
    }
    // Mutations of the empty input are all short ones.
    corpus.push(Vec::new());
    let mut random = Random::new(0x5eed);
    for _ in 0..property.mutations {
        try_input(property, &mutation(&corpus, &mut random));
    }
}

/// The input that fails is shown as a line for the corpus.
fn try_input(property: &Property, input: &[u8]) {
    let result = panic::catch_unwind(AssertUnwindSafe(|| (property.check)(input)));
    if result.is_err() {
        panic!("{} does not hold for {}", property.name, escape(input));
    }
}

macro_rules! tests {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })+

        #[test]
        fn every_property_is_played() {
            let all: Vec<&str> = ALL.iter().map(|property| property.name).collect();
            assert_eq!(all, [$(stringify!($name)),+]);
        }
    };
}

tests! {
    pidfile
    command_line
    status
    unit
    row
    arguments
    number
    init
    catalogue
    glob
    instance
    scan
    section
    serve
    text
    excerpt
    notify
    stream
}
