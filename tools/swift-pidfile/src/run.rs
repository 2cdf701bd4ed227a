//! From rows to rows.

use std::path::Path;

use anyhow::Context as _;
use swift_cli::Exit;
use swift_records::catalogue::Catalogue;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::actor::Report;
use swift_server::outcome::Outcome;
use swift_server::stream::{Input, Next};
use swift_sys::failpoint;

use crate::batch::{Batches, Line};
use crate::examine::Examined;
use crate::options::{Options, TOOL};

/// Does what the command line says.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let mut batches = Batches::new(&catalogue, options.mode);
    let mut report = Report::new(&TOOL, options.quiet)?;
    let mut input = Input::stdin()?;
    loop {
        let mut lines = Vec::new();
        let ended = take_in(&mut input, &mut lines);
        batches.examine(&mut lines);
        failpoint::at("examined");
        for line in lines.into_iter().flatten() {
            match line {
                Line::Bad(bad) => report.bad_line(&bad),
                Line::Examined(examined) => write(examined, options.running, &mut report),
                Line::Row(..) => unreachable!("every row was examined"),
            }
        }
        report.flush();
        if ended || report.is_lost() {
            return Ok(report.exit());
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

fn write((outcome, world_writable): Examined, running: bool, report: &mut Report) {
    let Outcome { row, failure } = &outcome;
    let path = row.pidfile.as_deref().unwrap_or(Path::new("-")).display();
    if world_writable {
        TOOL.say(&format!("{path} ({}): writable by everybody", row.server));
    }
    if !running || is_running(row) {
        report.put_outcome(&outcome);
    } else if let Some(what) = failure {
        report.complain(what);
    }
}

fn is_running(row: &Row) -> bool {
    matches!(
        row.state,
        State::Running | State::Starting | State::Owned | State::Denied | State::WrongConfig
    )
}
