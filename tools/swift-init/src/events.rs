//! The events of a command: rows and ends of the tools, requests to end, and requests of clients.

use std::time::Instant;

use swift_cli::text;
use swift_records::row::Row;
use swift_server::stream::Next;
use swift_sys::epoll::min_deadline;
use swift_sys::failpoint;

use crate::actors::{Event, ROLES, Role, SIGNALS};
use crate::run::Run;
use crate::table::RowIndex;
use crate::tool::Tool;

impl Run<'_> {
    /// The next event; none when all tools have ended.
    pub fn next_event(&mut self) -> anyhow::Result<Option<Event>> {
        self.next_event_before(None)
    }

    /// The next event; none when all tools have ended, or at the deadline.
    pub fn next_event_before(
        &mut self,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Option<Event>> {
        let is_late = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        while self.actors.events.is_empty() && !self.actors.have_ended() && !is_late() {
            self.wait(deadline)?;
        }
        Ok(self.actors.events.pop_front())
    }

    /// True when the next event has come already.
    pub fn has_event(&mut self) -> anyhow::Result<bool> {
        if self.actors.events.is_empty() && !self.actors.have_ended() {
            self.wait(Some(Instant::now()))?;
        }
        Ok(!self.actors.events.is_empty())
    }

    /// Asks swift-spawn to begin nothing more, and waits until it has reported all that it was sent:
    /// begun, or not. Returns the rows of all tools meanwhile. Another request to end this process
    /// repeats the one that is the cause of this.
    pub fn halt_spawn(&mut self) -> anyhow::Result<Vec<(Role, RowIndex, Row)>> {
        let mut rows = Vec::new();
        if let Some(tool) = &mut self.actors.tools[Role::Spawn as usize] {
            tool.halt()?;
            self.actors.halted = true;
        }
        while !self.actors.has_reported(Role::Spawn)
            && let Some(event) = self.next_event()?
        {
            if let Event::Row(role, at, row) = event {
                rows.push((role, at, row));
            }
        }
        Ok(rows)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> anyhow::Result<()> {
        self.console.systemd.beat();
        let deadline = min_deadline(deadline, self.console.deadline());
        let tokens = self.actors.epoll.wait(deadline)?;
        // A request that came before a row of a tool is known before it.
        if tokens.contains(&SIGNALS) {
            self.is_asked()?;
        }
        for token in tokens.into_iter().filter(|token| *token != SIGNALS) {
            match ROLES.get(token as usize) {
                Some(role) => self.on_readable(*role)?,
                None => self.actors.events.push_back(Event::Request),
            }
        }
        self.console.progress.tick(|| {
            let tools = self.actors.tools.iter().flatten();
            tools.flat_map(|tool| &tool.awaited).map(|(at, one)| {
                let name = text::one_line(self.table[*at].server.as_bytes());
                match one.pid {
                    Some(pid) => format!("{name} ({pid})"),
                    None => name,
                }
            })
        });
        Ok(())
    }

    /// True when this process was asked to end, and that event is yet to be taken.
    fn is_asked(&mut self) -> anyhow::Result<bool> {
        let actors = &mut self.actors;
        while let Some(signal) = actors.signals.take()? {
            if !actors.ignores_requests {
                actors.events.push_back(Event::Asked(signal));
            }
        }
        Ok(actors.events.iter().any(|e| matches!(e, Event::Asked(_))))
    }

    fn on_readable(&mut self, role: Role) -> anyhow::Result<()> {
        let Some(tool) = &mut self.actors.tools[role as usize] else {
            return Ok(());
        };
        tool.input.fill()?;
        loop {
            match tool.input.next_row() {
                Next::Row(row) => {
                    // A row of no instance of this command is ignored.
                    if let Some(at) = self.table.find(&row) {
                        tool.answered(at, &row);
                        failpoint::at("row-received");
                        self.actors.events.push_back(Event::Row(role, at, *row));
                    }
                }
                Next::Bad(bad) => {
                    self.console.error(&format!("{}: {bad}", tool.name()));
                    self.actors.sound = false;
                }
                Next::Wait => return Ok(()),
                Next::End => return self.on_end(role),
            }
        }
    }

    fn on_end(&mut self, role: Role) -> anyhow::Result<()> {
        let Some(tool) = self.actors.tools[role as usize].take() else {
            return Ok(());
        };
        tool.input.unwatch(&self.actors.epoll);
        self.console.progress.clear();
        // A terminal that goes asks all of its processes to end, and the tool did: that is no failure
        // of its own.
        if !self.is_asked()? && !self.actors.halted {
            let name = tool.name();
            if let Err(how) = tool.tool.map_or(Ok(()), Tool::finish) {
                self.console.error(&how);
                self.actors.sound = false;
            }
            for at in tool.awaited.into_keys() {
                let instance = self.table[at].name();
                let line = format!("{instance}: {name} ended without reporting a result");
                self.console.error(&line);
                self.actors.sound = false;
                self.actors.events.push_back(Event::NoResult(at));
            }
        }
        self.actors.events.push_back(Event::End(role));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::sys::signal::{Signal, raise};
    use swift_records::catalogue::Catalogue;
    use swift_records::state::State;
    use swift_sys::fd;

    use super::*;
    use crate::console::Console;
    use crate::options::Options;
    use crate::table::Table;
    use crate::tool_process::Channel;

    /// Fails when the row is lost: the server that it reports would be neither tracked nor stopped.
    #[test]
    fn a_row_that_comes_with_a_request_to_end_is_reported() {
        let options = Options::default();
        let catalogue = Catalogue::load(std::path::Path::new("/nonexistent")).unwrap();
        let selection = catalogue.select(["proxy"]);
        let row = Row {
            config: Some("/etc/swift/proxy-server.conf".into()),
            ..Row::new("proxy-server", State::Stopped)
        };
        let table = Table::gather(&catalogue, &selection, vec![row.clone()]);
        let at = table.find(&row).unwrap();
        let mut run = Run::new(&options, &catalogue, false, table, Console::new(false)).unwrap();
        let (input, end) = fd::pipe().unwrap();
        let actors = &mut run.actors;
        actors
            .enter(Role::Spawn, None, Channel::Closed, input, true)
            .unwrap();
        actors.send(Role::Spawn, at, &row, false).unwrap();
        let mut line = Vec::new();
        let started = row.with_state(State::Started);
        started.write(&mut line);
        std::fs::File::from(end).write_all(&line).unwrap();
        // To this thread only, which has it blocked.
        raise(Signal::SIGTERM).unwrap();

        assert!(run.has_event().unwrap());
        assert!(matches!(run.next_event().unwrap(), Some(Event::Asked(_))));
        let rows = run.halt_spawn().unwrap();
        assert!(matches!(&rows[..], [(Role::Spawn, found, row)]
            if *found == at && *row == started));
    }
}
