//! Every system call for which the standard library has no safe function, one
//! small room each. Descriptors are owned, and closed on exec from birth.

pub mod beneath;
pub mod clock;
pub mod entry;
mod fault;
pub mod fd;
pub mod handover;
pub mod limits;
pub mod pidfd;
mod refused;
pub mod rights;
pub mod session;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod syslog;
pub mod unix_diag;
mod walk;
