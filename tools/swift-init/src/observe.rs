//! The observe half: the rows of what could run, what does, and what may be restarted.

use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_server::stream::{Input, Next};
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
    let mut input = Input::new(input.expect("there are tools"));
    let (mut rows, mut bad) = (Vec::new(), None);
    loop {
        match input.next_row() {
            Next::Row(row) => rows.push(*row),
            Next::Bad(line) => drop(bad.get_or_insert(line)),
            Next::Wait => {
                await_input(&input, console, awaited)?;
                input.fill()?;
            }
            Next::End => break,
        }
    }
    console.progress.clear();
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
fn await_input(input: &Input, console: &mut Console, awaited: &str) -> anyhow::Result<()> {
    if console.progress.next.is_none() {
        return Ok(());
    }
    let epoll = Epoll::new()?;
    input.watch(&epoll, 0)?;
    while epoll.wait(console.progress.next)?.is_empty() {
        console
            .progress
            .tick(|| std::iter::once(awaited.to_owned()));
    }
    Ok(())
}
