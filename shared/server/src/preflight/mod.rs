//! Requirements of one of Swift's servers beyond a config that its own check
//! accepts: checked before anything is stopped or signalled.
//!
//! Swift's check ends before the server binds its sockets, reads its certificate
//! and gives up being root (check_config, then run_wsgi, in
//! swift/common/wsgi.py; daemon.py for daemons, which have no check at all). In
//! doubt nothing is found: a config that works is never refused.

mod conf;
mod files;
mod finding;
mod numbers;
mod reading;
mod sockets;
#[cfg(test)]
mod tests;
mod values;

pub use conf::{Preflight, Runner};
pub use finding::Finding;

use conf::Conf;

use swift_records::catalogue::Kind;

impl Preflight {
    /// Checks all of it. The error is the first thing that keeps the server from starting.
    pub fn check(&self) -> Result<(), Finding> {
        let Some(conf) = Conf::read(self)? else {
            return Ok(());
        };
        let user = match conf.changes_user() {
            true => conf.user()?,
            false => None,
        };
        numbers::check(&conf)?;
        if self.kind == Kind::Server {
            if let Some(user) = user.filter(|user| self.runner.is_root() && user.uid != 0) {
                files::check(&conf, &user)?;
            }
            sockets::check(&conf)?;
        }
        Ok(())
    }
}
