//! Every option and every command of the original's help is in ours. The words are our own.

use std::process::Command;

use test_helpers::run;

use crate::play::Side;

fn help(side: Side) -> String {
    // The original breaks its lines by the width that COLUMNS gives.
    let mut command = Command::new(side.program());
    let outcome = run(command.arg("--help").env("COLUMNS", "80"));
    assert_eq!((outcome.code(), outcome.err().as_str()), (0, ""));
    outcome.out()
}

/// The options with what they take, and the names in the list of commands.
fn words(help: &str) -> Vec<String> {
    let spelled = help.split_whitespace().filter(|word| word.starts_with('-'));
    let options = spelled.map(|word| word.trim_end_matches(',').split('=').next());
    let mut words: Vec<String> = options.flatten().map(str::to_owned).collect();
    let commands = help.lines().skip_while(|line| *line != "Commands:");
    let commands = commands.take_while(|line| !line.is_empty()).skip(1);
    // What goes on with a line before it has no name of its own.
    let names = commands.filter_map(|line| match line.split_once(": ") {
        Some((name, _)) => Some(name.trim()),
        None => line.split_whitespace().next(),
    });
    words.extend(names.map(str::to_owned));
    words
}

#[test]
fn every_option_and_command_of_the_originals_help_stands_in_ours() {
    let (original, ours) = (help(Side::Original), help(Side::Ours));
    let ours = words(&ours);
    let original = words(&original);
    assert!(original.len() > 30, "{original:?}");
    for word in original.iter().filter(|word| *word != "supporting") {
        assert!(ours.contains(word), "{word} is not in ours: {ours:?}");
    }
}
