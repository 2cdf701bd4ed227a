//! The workers, as the manager starts, hears and loses them.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use swift_sys::fd;

use crate::generation::Generation;
use crate::orphans;
use crate::state::Manager;
use crate::worker::{Order, Worker, ended};

/// How much of their output is read at a time.
const READ_BUDGET: usize = 64 * 1024;

impl Manager {
    /// Starts a worker for a place of a generation.
    pub fn start_worker(&mut self, generation: &mut Generation, slot: usize) -> Result<(), String> {
        let id = self.next_id();
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let stdio: [BorrowedFd; 3] = match self.log.is_console() {
            true => [self.null.as_fd(), stdout.as_fd(), stderr.as_fd()],
            false => [
                self.null.as_fd(),
                self.output[1].as_fd(),
                self.output[1].as_fd(),
            ],
        };
        let server = orphans::mark(&self.invocation);
        let order = Order {
            id,
            generation: generation.number,
            slot,
            server: &server,
            stdio,
        };
        let (settings, listeners) = (&generation.settings, &generation.listeners);
        let worker = Worker::start(&order, settings, listeners, &self.epoll)?;
        generation.workers.push(worker);
        Ok(())
    }

    /// Takes in what a worker says of itself.
    pub fn on_worker_readable(&mut self, id: u64) -> io::Result<()> {
        let pending = self.pending.iter_mut().map(|one| &mut one.generation);
        for generation in pending.chain(&mut self.current) {
            let user = generation.settings.identity.as_ref().map(|one| one.uid);
            if let Some(worker) = generation.workers.iter_mut().find(|one| one.id == id) {
                worker.on_readable(user)?;
            }
        }
        if let Some(worker) = self.leaving.iter_mut().find(|one| one.id == id) {
            worker.on_readable(None)?;
        }
        self.commit_if_ready();
        Ok(())
    }

    /// Does what follows from a worker's end.
    pub fn worker_ended(&mut self, id: u64) {
        let place = |workers: &[Worker]| workers.iter().position(|one| one.id == id);
        if let Some(at) = place(&self.leaving) {
            let worker = self.leaving.remove(at);
            let end = ended(worker.take_end());
            self.log.info(&format!("worker {} {end}", worker.pid()));
            return;
        }
        if let Some(pending) = &mut self.pending
            && let Some(at) = place(&pending.generation.workers)
        {
            let worker = pending.generation.workers.remove(at);
            // Its last words may say why.
            let end = ended(worker.take_end());
            let _ = self.forward_output();
            self.fail(&format!(
                "worker {} {end} before all were ready",
                worker.pid()
            ));
            return;
        }
        if let Some(current) = &mut self.current
            && let Some(at) = place(&current.workers)
        {
            let (worker, pause) = current.lost(at);
            let end = ended(worker.take_end());
            self.log.warn(&format!(
                "worker {} {end}, and is replaced in {} s",
                worker.pid(),
                pause.as_secs()
            ));
        }
    }

    /// Logs what workers have printed, or shows it to whoever starts the server.
    pub fn forward_output(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BUDGET];
        let length = match fd::read(&self.output[0], &mut buffer) {
            Ok(length) => length,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => return Err(e),
        };
        if self.current.is_none() {
            // A reader that is gone is no reason not to start.
            let _ = fd::write(&io::stderr(), &buffer[..length]);
            return Ok(());
        }
        self.log_lines(&buffer[..length]);
        Ok(())
    }

    /// Logs each line of what workers have printed.
    pub fn log_lines(&self, text: &[u8]) {
        let lines = text.split(|b| *b == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            self.log.info(&String::from_utf8_lossy(line));
        }
    }
}
