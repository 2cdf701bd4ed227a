//! The observe half: the rows of what could run, what does, and what may be restarted.

use std::os::fd::OwnedFd;

use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_server::stream::Decoder;
use swift_sys::epoll::Epoll;

use crate::console::Console;
use crate::options::Options;
use crate::plan;
use crate::tool::{self, Tool};

/// Runs the observe half to its end and returns its rows. When that takes long, the console names
/// what is awaited.
pub fn run(
    options: &Options,
    catalogue: &Catalogue,
    console: &mut Console,
) -> anyhow::Result<Vec<Row>> {
    let mut tools: Vec<Tool> = Vec::new();
    let mut input = None;
    let commands = plan::observers(options, catalogue, &options.servers);
    let checks = commands.iter().any(|one| one.name == "swift-check-config");
    let awaited = if checks { "config checks" } else { "what runs" };
    for mut command in commands {
        // In front of the operands, which `--` may precede.
        command.args.insert(0, "--quiet".into());
        let (tool, output) = tool::start(&command, input.take(), &[])?;
        tools.push(tool);
        input = Some(output);
    }
    let output = input.expect("there are tools");
    let mut decoder = Decoder::default();
    let (mut rows, mut bad) = (Vec::new(), None);
    loop {
        await_input(&output, console, awaited)?;
        if decoder.fill(&output)? == 0 {
            break;
        }
        while let Some(row) = decoder.next_row() {
            match row {
                Ok(row) => rows.push(row),
                Err(line) => drop(bad.get_or_insert(line)),
            }
        }
    }
    console.progress.clear();
    let bad = bad.or_else(|| decoder.finish());
    let bad = bad.map(|bad| format!("{}: {bad}", tools[tools.len() - 1].name));
    let failures = tools.into_iter().filter_map(|tool| tool.finish().err());
    let failures: Vec<String> = bad.into_iter().chain(failures).collect();
    failures.iter().for_each(|line| console.error(line));
    if failures.is_empty() {
        Ok(rows)
    } else {
        anyhow::bail!("cannot determine what is running; no action taken")
    }
}

/// Waits for rows, as long as there is a terminal that the wait is shown on.
fn await_input(output: &OwnedFd, console: &mut Console, awaited: &str) -> anyhow::Result<()> {
    if console.progress.deadline().is_none() {
        return Ok(());
    }
    let epoll = Epoll::new()?;
    epoll.add(output, 0)?;
    while epoll.wait(console.progress.deadline())?.is_empty() {
        console.tick(|| std::iter::once(awaited.to_owned()));
    }
    Ok(())
}
