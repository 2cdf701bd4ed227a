//! Every system call for which the standard library has no safe function, one
//! small room each. Descriptors are owned, and closed on exec from birth.

pub mod beneath;
#[cfg(any(test, feature = "without-openat2"))]
pub mod both_ways;
pub mod clock;
pub mod entry;
pub mod epoll;
pub mod error;
pub mod failpoint;
pub mod fd;
pub mod handover;
pub mod inet_diag;
pub mod limits;
pub mod listening;
pub mod netns;
mod openat2;
pub mod pid;
pub mod pidfd;
pub mod private_socket;
mod refused;
pub mod regular_file;
pub mod rights;
pub mod session;
pub mod signal;
pub mod signal_fd;
mod sock_diag;
pub mod socket;
pub mod spawn;
pub mod syslog;
mod thread;
pub mod unix_diag;
mod walk;
