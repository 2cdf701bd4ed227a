//! The facts of a server: its process in /proc and the one proof of identity, its pid file, the run
//! directory and its lock, its notifications, the checks of its config, and the streams of rows.
//!
//! Nothing in it prints: a tool decides what a person is told.

pub mod actor;
pub mod check;
pub mod head_tail;
pub mod notify;
pub mod outcome;
pub mod pidfile;
pub mod preflight;
pub mod process;
pub mod rundir;
pub mod sd_notify;
pub mod stream;
pub mod timers;
pub mod user;
