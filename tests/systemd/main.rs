//! The tools, the servers and the shipped units under a live systemd, each test with one of its own
//! (`test_helpers::systemd`): the machine's, or that of the root directory SYSTEMD_ROOT.
//!
//! Where systemd cannot be brought up, one line on standard error says why, and no test is played. Counts
//! are small here; `make test-systemd` sets SWIFT_SOAK, and they are large.
#![forbid(unsafe_code)]

mod bring_up;
mod hardening;
mod hello;
mod kept;
mod kills;
mod owner;
mod reloads;
mod serve;
mod site;
mod unit;
mod verify;
mod watchdog;
