//! The end of a command that was asked to end: what was said is done first, and what stays down is
//! named.

use std::path::Path;

use swift_records::reason::Reason;
use swift_records::row::Row;
use swift_records::state::State;
use swift_sys as sys;
use swift_sys::signal::Signal;

use crate::act::{Event, Role};
use crate::options::Command;
use crate::report;
use crate::session::Session;

impl Session<'_> {
    /// Ends this process as the signal would have done, once every signal was sent
    /// that was spoken of. The tools begin nothing more then, and what has been
    /// started is tracked.
    pub fn interrupt(&mut self, signal: Signal) -> anyhow::Error {
        if let Err(error) = self.settle() {
            return error;
        }
        self.act.clear();
        self.voice.release();
        self.voice.flush();
        self.left().iter().for_each(|line| report::say(line));
        self.log.rest(self.options, &self.groups);
        sys::signal_fd::die_of(signal).into()
    }

    /// Waits until all signals that were spoken of are sent, and until it is known
    /// what swift-spawn has begun.
    fn settle(&mut self) -> anyhow::Result<()> {
        self.act.close(Role::Signal);
        for row in std::mem::take(&mut self.held) {
            self.replace(&row);
        }
        while !self.act.has_begun(Role::Signal) {
            match self.act.next()? {
                Some(Event::Row(role, row)) => self.settled(role, row)?,
                // Another request is the same as the first.
                Some(Event::Asked(_) | Event::Lost(_) | Event::End(_) | Event::Other) => {}
                None => break,
            }
        }
        if self.restarting.is_empty() {
            return Ok(());
        }
        for (role, row) in self.act.halt(Role::Spawn)? {
            self.settled(role, row)?;
        }
        Ok(())
    }

    fn settled(&mut self, role: Role, row: Row) -> anyhow::Result<()> {
        if role == Role::Signal {
            self.signalled(row, false)
        } else {
            self.replace(&row);
            Ok(())
        }
    }

    /// A line for each instance that was signalled and is left to itself.
    fn left(&self) -> Vec<String> {
        let rows = self.restarting.iter();
        let rows = rows.map(|&(group, number)| &self.groups[group].rows[number]);
        let mut lines: Vec<String> = rows
            .filter(|row| is_left_down(row))
            .map(|row| line(row, "will not be started"))
            .collect();
        if self.options.command == Command::ReloadSeamless {
            let groups = self.groups.iter();
            let reloading = groups
                .filter(|group| group.server.seamless.is_some())
                .flat_map(|group| &group.rows)
                .filter(|row| row.state == State::Signalled);
            lines.extend(reloading.map(|row| line(row, "is not waited for")));
        }
        lines
    }
}

/// Whether an instance that was to be started again is not, and is not known to
/// run on.
fn is_left_down(row: &Row) -> bool {
    match row.state {
        State::Signalled | State::Stopped | State::Killed => true,
        State::Failed => row.reason() == Some(Reason::Interrupted),
        _ => false,
    }
}

fn line(row: &Row, what: &str) -> String {
    let config = row.config.as_deref().and_then(Path::file_name);
    let config = config.unwrap_or_default().display();
    format!(
        "interrupted: {} ({config}) was signalled and {what}",
        row.server
    )
}
