//! The end of a server.

use std::io;
use std::time::Duration;

use swift_cli::Exit;
use swift_server::process;
use swift_sys::epoll::{Epoll, deadline_in};
use swift_sys::handover::{Forked, fork};
use swift_sys::signal::Signal;
use swift_sys::{fd, session};

use crate::sockets;
use crate::state::Manager;
use crate::worker::Worker;

impl Manager {
    /// Ends everything and waits for it.
    pub fn stop(&mut self) -> anyhow::Result<Exit> {
        self.log.info("stopping");
        let status = format!("stopping {} workers", self.workers().count());
        self.notifier.stopping(&status, self.stop_timeout());
        self.stop_standby();
        self.end_all(true)?;
        Ok(Exit::Ok)
    }

    /// Leaves at once; the workers finish what they have.
    pub fn leave(&mut self) -> anyhow::Result<Exit> {
        self.log.info("leaving, while the workers finish");
        self.notifier.stopping("leaving", Duration::ZERO);
        self.dismiss_standby();
        self.notifier.barrier();
        let pending = self.pending.take().map(|one| one.generation);
        for mut generation in self.current.take().into_iter().chain(pending) {
            sockets::discard(&generation.listeners, &[]);
            let graceful = generation.settings.graceful();
            for worker in &mut generation.workers {
                worker.leave(Some(graceful), Duration::MAX);
            }
        }
        if !self.log.is_console() {
            // Printing must not end those who still finish a request.
            if let Ok(Forked::Child) = fork() {
                self.forward_last_output()?;
            }
        }
        Ok(Exit::Ok)
    }

    /// Logs what the workers print until the last of them has ended, in a
    /// process that holds nothing else.
    fn forward_last_output(&mut self) -> io::Result<()> {
        self.standbys.clear();
        self.leaving.clear();
        self.status = None;
        self.output[1] = fd::duplicate(&self.null)?;
        let epoll = Epoll::new()?;
        epoll.add(&self.output[0], 0)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match fd::read(&self.output[0], &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.log_lines(&buffer[..length]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    epoll.wait(None)?;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// How long workers get to end before they are killed.
    fn stop_timeout(&self) -> Duration {
        let pending = self.pending.iter().map(|one| &one.generation);
        let generations = self.current.iter().chain(pending);
        let seconds = generations.map(|one| one.settings.stop_timeout).max();
        Duration::from_secs(seconds.unwrap_or(10).into())
    }

    /// Ends all workers, and with them everything in this process's group, and
    /// kills those that take too long.
    pub fn end_all(&mut self, with_group: bool) -> io::Result<()> {
        let timeout = self.stop_timeout();
        let pending = self.pending.take().map(|one| one.generation);
        let mut workers: Vec<Worker> = std::mem::take(&mut self.leaving);
        for generation in self.current.take().into_iter().chain(pending) {
            sockets::discard(&generation.listeners, &[]);
            workers.extend(generation.workers);
        }
        let group = with_group && session::leads_group();
        if group {
            // This process has the signal blocked, and is about to end anyway.
            session::signal_group(Signal::TERM)?;
        }
        let own = std::process::id() as i32;
        let epoll = Epoll::new()?;
        for (worker, number) in workers.iter().zip(0..) {
            let stat = process::stat(worker.pid()).ok().flatten();
            if !(group && stat.is_some_and(|stat| stat.group == own)) {
                let _ = worker.process.signal(Signal::TERM);
            }
            epoll.add(&worker.process, number)?;
        }
        let mut left = workers.len();
        let mut deadline = deadline_in(timeout);
        while left > 0 {
            let ended = epoll.wait(deadline)?;
            if ended.is_empty() {
                for worker in &workers {
                    if !worker.process.has_ended()? {
                        self.log
                            .warn(&format!("killing {}: it does not end", worker.pid()));
                        let _ = worker.process.signal(Signal::KILL);
                    }
                }
                deadline = None;
            }
            for number in ended {
                let worker = &workers[number as usize];
                epoll.remove(&worker.process)?;
                worker.take_end();
                left -= 1;
            }
        }
        Ok(())
    }
}
