//! The tools on OpenStack's own servers: each behaviour once through swift-init, and where it applies
//! once through a pipeline of the tools.
//!
//! Every test has a Swift of its own (`test_helpers::lab`), so they may run side by side.
#![forbid(unsafe_code)]

mod broken_config;
mod daemons;
mod http;
mod instances;
mod no_daemon;
mod reload;
mod start_stop;
mod workers;

use std::collections::BTreeMap;
use std::time::Duration;

use test_helpers::Outcome;

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

/// The last state of each server in a pipeline's rows, since later rows replace earlier ones. In these
/// tests a server has one instance.
fn states(outcome: &Outcome) -> BTreeMap<String, String> {
    let rows = outcome.rows();
    rows.into_iter()
        .map(|row| (row[0].clone(), row[5].clone()))
        .collect()
}

/// That these servers, and no others, ended in this state.
fn assert_all(outcome: &Outcome, servers: &[&str], state: &str) {
    let expected = servers.iter().map(|name| (name.to_string(), state.into()));
    assert_eq!(states(outcome), expected.collect(), "{outcome}");
}
