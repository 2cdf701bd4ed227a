//! The observe half: what could run, what does, and whether it may be restarted.

use std::os::fd::OwnedFd;

use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_server::stream::Decoder;
use swift_sys::epoll::Epoll;

use crate::options::{Options, TOOL};
use crate::plan;
use crate::progress::Progress;
use crate::stage::{self, Stage};

/// Runs the observe half to its end and returns its rows. When that takes long,
/// `progress` says so.
pub fn run(
    options: &Options,
    catalogue: &Catalogue,
    mut progress: Progress,
) -> anyhow::Result<Vec<Row>> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut input = None;
    let calls = plan::observers(options, catalogue, &options.servers);
    let checks = calls.iter().any(|call| call.name == "swift-check-config");
    let what = if checks { "config checks" } else { "what runs" };
    for mut call in calls {
        // In front of the operands, which `--` may precede.
        call.args.insert(0, "--quiet".into());
        let (stage, output) = stage::start(&call, input.take(), &[])?;
        stages.push(stage);
        input = Some(output);
    }
    let output = input.expect("there are calls");
    let mut decoder = Decoder::default();
    let (mut rows, mut bad) = (Vec::new(), None);
    loop {
        await_input(&output, &mut progress, what)?;
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
    progress.clear();
    let bad = bad.or_else(|| decoder.finish());
    if let (Some(bad), Some(last)) = (&bad, stages.last()) {
        TOOL.say(&format!("{}: {bad}", last.name));
    }
    // Each of them is told of that could not do its job.
    let failed = stages.into_iter().map(Stage::finish);
    let failed = failed.filter(|sound| !sound).count();
    if failed == 0 && bad.is_none() {
        Ok(rows)
    } else {
        anyhow::bail!("cannot determine what is running; no action taken")
    }
}

/// Waits for something to read as long as there is anybody to tell of the wait.
fn await_input(output: &OwnedFd, progress: &mut Progress, what: &str) -> anyhow::Result<()> {
    if progress.deadline().is_none() {
        return Ok(());
    }
    let epoll = Epoll::new()?;
    epoll.add(output, 0)?;
    while epoll.wait(progress.deadline())?.is_empty() {
        progress.draw_one(what);
    }
    Ok(())
}
