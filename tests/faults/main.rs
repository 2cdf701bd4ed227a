//! What has to hold when things go wrong: faults, races and hostile input. The tools are built with
//! the feature `faults`, whose points let a test stop or kill them where it matters.
//!
//! Each test says in its comment how it was seen to fail: against the original, or against which
//! broken build of ours.
//!
//! Counts are small here, so that all of it ends within minutes; `make soak` sets SWIFT_SOAK, and
//! they are large.
#![forbid(unsafe_code)]

mod assertions;
mod concurrent;
mod container_init;
mod environment;
mod failpoints;
mod hostile;
mod killed;
mod lost_after_start;
mod misbehaving;
mod pid_reuse;
mod process_list;
mod scale;
mod signal_storm;
mod soak;
mod unprivileged;
mod without_openat2;
