//! What has to hold when things go wrong: faults, races and hostile input. The tools are built with
//! the feature `faults`, whose points let a test stop or kill them where it matters.
//!
//! Each test says in its comment how it was seen to fail: against the original, or against which
//! broken build of ours.
//!
//! Counts are small here, so that all of it ends within minutes; `make soak` sets SWIFT_SOAK, and
//! they are large.
#![forbid(unsafe_code)]

mod census;
mod concurrent;
mod forbidden;
mod found;
mod hostile;
mod killed;
mod misbehaving;
mod points;
mod process_one;
mod proof;
mod refused;
mod reuse;
mod scale;
mod soak;
mod storm;
mod unprivileged;
