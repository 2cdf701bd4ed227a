//! The tools on OpenStack's own servers: each behaviour once through swift-init, and where it applies
//! once through a pipeline of the tools.
//!
//! Every test has a Swift of its own (`test_helpers::lab`), so they may run side by side.
#![forbid(unsafe_code)]

mod broken_config;
mod daemons;
mod instances;
mod no_daemon;
mod reload;
mod start_stop;
mod workers;

use std::time::Duration;

/// How long a process may take to leave that has nothing more to do. Swift's own need well under a
/// second; a busy machine needs more.
const PATIENCE: Duration = Duration::from_secs(30);

/// The four main servers.
const MAIN: [&str; 4] = [
    "account-server",
    "container-server",
    "object-server",
    "proxy-server",
];
