//! Listening sockets that a worker has shut down.

use std::io;

use swift_sys::error::reason_of;
use swift_sys::socket;

use crate::event::LISTENER;
use crate::manager::Manager;
use crate::sockets::Listener;

impl Manager {
    /// Has it reported when a worker shuts down a socket of the generation that serves.
    pub fn watch_listeners(&self) -> io::Result<()> {
        let mut listeners = self.state.current.iter().flat_map(|one| &one.listeners);
        listeners.try_for_each(|one| self.epoll.add_hangup(&one.fd, LISTENER))
    }

    /// Lets sockets listen again that a worker has shut down: otherwise all clients are refused.
    pub fn mend_listeners(&self) {
        let listeners = self.state.current.iter().flat_map(|one| &one.listeners);
        for Listener { address, fd, .. } in listeners {
            if !socket::is_shut_down(fd).unwrap_or(false) {
                continue;
            }
            let what = format!("a worker has shut down the socket of {address}");
            match socket::listen_again(fd) {
                Ok(true) => self.log.warn(&format!("{what}, which listens again")),
                outcome => {
                    // Otherwise it would be reported on and on.
                    let _ = self.epoll.remove(fd);
                    let why = outcome.err().map(|e| format!(": {}", reason_of(&e)));
                    let why = why.unwrap_or_default();
                    let what = format!("{what}, and only a reload makes a new one{why}");
                    self.log.error(&what);
                }
            }
        }
    }
}
