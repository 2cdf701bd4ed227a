//! From rows to rows.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::stream::{self, Input, Next, Output, bad_line};
use swift_sys::failpoint;

use crate::batch::{Batches, Line};
use crate::examine::Examined;
use crate::options::{Options, TOOL};

/// Does what the command line says.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let mut batches = Batches::new(&catalogue, options.manner);
    let mut output = stream::stdout()?;
    let mut input = Input::stdin()?;
    let mut exit = Exit::Ok;
    loop {
        let mut lines = Vec::new();
        let ended = take_in(&mut input, &mut lines);
        batches.examine(&mut lines);
        failpoint::at("examined");
        for line in lines.into_iter().flatten() {
            exit = exit.and(match line {
                Line::Bad(bad) => bad_line(&TOOL, &bad),
                Line::Examined(examined) => write(examined, &options, &mut output)?,
                Line::Row(..) => unreachable!("every row was looked at"),
            });
        }
        output.flush()?;
        if ended {
            return Ok(exit);
        }
        input.fill().context("cannot read standard input")?;
    }
}

/// Takes what was read and decoded; `true` at the end of the rows.
fn take_in(input: &mut Input, lines: &mut Vec<Option<Line>>) -> bool {
    loop {
        lines.push(Some(match input.next_row() {
            Next::Row(row) => Line::Row(input.line(), *row),
            Next::Bad(bad) => Line::Bad(bad),
            Next::Wait => return false,
            Next::End => return true,
        }));
    }
}

fn write(examined: Examined, options: &Options, output: &mut Output<File>) -> anyhow::Result<Exit> {
    let row = &examined.row;
    if !options.running || is_running(row) {
        output.put(row)?;
    }
    if examined.world_writable {
        let path = row.pidfile.as_deref().unwrap_or(Path::new("-")).display();
        TOOL.say(&format!("{path} ({}): writable by everybody", row.server));
    }
    let Some(failure) = examined.failure else {
        return Ok(Exit::Ok);
    };
    if !options.quiet {
        TOOL.say(&failure);
    }
    Ok(Exit::Failed)
}

fn is_running(row: &Row) -> bool {
    matches!(
        row.state,
        State::Running | State::Starting | State::Owned | State::Denied | State::WrongConfig
    )
}
