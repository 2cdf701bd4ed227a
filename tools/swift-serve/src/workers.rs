//! The workers, as the manager starts, reads and replaces them.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use swift_sys::epoll::Epoll;
use swift_sys::fd;
use swift_sys::signal::Signal;

use crate::generation::Generation;
use crate::manager::Manager;
use crate::orphans;
use crate::state::Phase;
use crate::worker::Worker;

/// The most output that is read at a time.
pub const READ_BUDGET: usize = 64 * 1024;

/// The most lines of them that are logged: 64 bytes each are more than a log usually has, and each costs a
/// system call or three.
const LINES_MAX: usize = 1024;

/// The longest pause between looks at a worker that a pending generation waits for.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// The longest pause where nothing waits for it, as for a replacement.
const REPLACEMENT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// The longest that workers are looked at before the manager attends to its events again.
const LOOK_BUDGET: Duration = Duration::from_millis(10);

impl Manager {
    /// Starts a worker for a place of a generation.
    pub fn start_worker(&mut self, generation: &mut Generation, slot: usize) -> Result<(), String> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let stdio: [BorrowedFd; 3] = match self.log.is_console() {
            true => [self.null.as_fd(), stdout.as_fd(), stderr.as_fd()],
            false => [
                self.null.as_fd(),
                self.state.output[1].as_fd(),
                self.state.output[1].as_fd(),
            ],
        };
        let server = orphans::mark(&self.invocation);
        let (number, settings) = (generation.number, &generation.settings);
        let worker = Worker::start(
            number,
            slot,
            settings,
            &generation.listeners,
            &server,
            stdio,
            generation.directory.as_ref().map(|one| one.as_fd()),
        )?;
        if let Err(e) = worker.watch(&self.epoll) {
            let _ = worker.process.signal(Signal::KILL);
            return Err(format!("cannot watch worker {}: {e}", worker.pid()));
        }
        generation.workers.push(worker);
        Ok(())
    }

    /// Reads what a worker says of itself.
    pub fn on_worker_readable(&mut self, pid: u64) -> io::Result<()> {
        let pending = self.phase.pending_mut().into_iter();
        let pending = pending.flat_map(|one| &mut one.generation.workers);
        let mut all = pending.chain(self.state.workers_mut());
        all.find(|one| is(one, pid))
            .map_or(Ok(()), Worker::on_readable)
    }

    /// Decides which workers are ready by now, and what follows from that.
    pub fn advance_workers(&mut self) {
        let end = Instant::now() + LOOK_BUDGET;
        let pending = self.phase.pending_mut().map(|one| &mut one.generation);
        if pending.is_some_and(|generation| generation.advance(PAUSE_MAX, end)) {
            self.commit_if_ready();
        }
        if let Some(current) = &mut self.state.current {
            current.advance(REPLACEMENT_PAUSE_MAX, end);
        }
    }

    /// The verdict of the last reload, and how many workers serve when it is not all of them.
    pub fn verdict(&self) -> String {
        let verdict = &self.state.verdict;
        let current = self.state.current.as_ref();
        match current.map(|one| (one.missing(), one.slots.len())) {
            None | Some((0, _)) => verdict.clone(),
            Some((missing, all)) => {
                format!("{} of {all} workers serve now; {verdict}", all - missing)
            }
        }
    }

    /// Reports how many workers serve whenever that has changed.
    pub fn report_workers(&mut self) {
        let (Phase::Serving, Some(current)) = (&self.phase, &self.state.current) else {
            return;
        };
        if self.missing != current.missing() {
            self.missing = current.missing();
            self.notifier.serving(&self.verdict());
        }
    }

    /// Takes out a worker that has ended, and does what follows.
    pub fn on_worker_end(&mut self, pid: u64) {
        let place = |workers: &[Worker]| workers.iter().position(|one| is(one, pid));
        let take_end = |epoll: &Epoll, worker: &Worker| {
            // The standby may have the pidfd too, which would be reported on and on.
            let _ = epoll.remove(&worker.process);
            worker.take_end()
        };
        if let Some(at) = place(&self.state.leaving) {
            let end = take_end(&self.epoll, &self.state.leaving.remove(at));
            if !matches!(self.phase, Phase::Stopping(_)) {
                self.log.info(&end);
            }
        } else if let Some(pending) = self.phase.pending_mut()
            && let Some(at) = place(&pending.generation.workers)
        {
            let end = take_end(&self.epoll, &pending.generation.workers.remove(at));
            // Its last words may say why.
            let _ = self.forward_output();
            self.fail(&format!("{end} before all were ready"));
        } else if let Some(orphaned) = &mut self.orphaned
            && let Some(at) = place(&orphaned.workers)
        {
            let end = take_end(&self.epoll, &orphaned.workers.remove(at));
            self.log.info(&end);
        } else if let Some(current) = &mut self.state.current
            && let Some(at) = place(&current.workers)
        {
            let (worker, pause) = current.lost(at);
            let end = take_end(&self.epoll, &worker);
            let seconds = pause.as_secs();
            self.log
                .warn(&format!("{end}, and is replaced in {seconds} s"));
        }
    }

    /// Logs the output of workers, or shows it on the terminal that starts the server.
    pub fn forward_output(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BUDGET];
        let length = match fd::read(&self.state.output[0], &mut buffer) {
            Ok(length) => length,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => return Err(e),
        };
        if matches!(self.phase, Phase::Starting(_) | Phase::Stopping(Err(_))) {
            // A reader that is gone is no reason not to start.
            let _ = fd::write(&io::stderr(), &buffer[..length]);
            return Ok(());
        }
        self.log_lines(&buffer[..length]);
        Ok(())
    }

    /// Logs the lines that workers have printed, up to a limit.
    pub fn log_lines(&self, text: &[u8]) {
        let (lines, left_out) = lines_to_log(text);
        for line in lines {
            self.log.info(&String::from_utf8_lossy(line));
        }
        if left_out > 0 {
            self.log
                .warn(&format!("{left_out} lines of workers are left out"));
        }
    }
}

/// The lines of what workers have printed, and how many more there are than are logged.
fn lines_to_log(text: &[u8]) -> (Vec<&[u8]>, usize) {
    let lines = text.split(|b| *b == b'\n');
    let mut lines = lines.filter(|line| !line.is_empty());
    (lines.by_ref().take(LINES_MAX).collect(), lines.count())
}

fn is(worker: &Worker, pid: u64) -> bool {
    worker.pid().raw() as u64 == pid
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when a worker that prints short lines decides how long the manager is busy with them.
    #[test]
    fn one_turn_logs_so_many_lines_and_counts_the_rest() {
        let flood = b"a\n".repeat(READ_BUDGET / 2);
        let (lines, left_out) = lines_to_log(&flood);
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(lines.len() + left_out, READ_BUDGET / 2);
        let usual = [&[b'x'; 63][..], b"\n"].concat().repeat(LINES_MAX);
        assert!(usual.len() >= READ_BUDGET);
        assert_eq!(lines_to_log(&usual).1, 0);
        assert_eq!(lines_to_log(b"\none\n\ntwo").0, [b"one", b"two"]);
    }
}
