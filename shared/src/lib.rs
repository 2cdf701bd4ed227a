//! What the tools share: the row that flows between them, the catalogue of
//! servers, process identity, pid files, exit statuses and messages, and
//! [`sys`] with every system call that needs more than the standard library.
//!
//! Tools use this crate; it uses no tool. Nothing in it prints: what a person
//! is told is decided in a tool's `main`.

pub mod account;
pub mod actor;
pub mod catalogue;
pub mod check;
pub mod cli;
pub mod closest;
pub mod completion;
pub mod config;
pub mod excerpt;
pub mod ini;
pub mod instance;
pub mod locks;
pub mod names;
pub mod notify;
pub mod pidfile;
pub mod preflight;
pub mod process;
pub mod program;
pub mod reason;
pub mod row;
pub mod rundir;
pub mod rundirs;
pub mod sd_notify;
pub mod service;
pub mod state;
pub mod stream;
pub mod sys;
pub mod text;
pub mod timers;
pub mod user;

pub use sys::{failpoint as faults, regular_file as plain, signal as signals, watch};
