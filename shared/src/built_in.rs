//! The catalogue as compiled in: servers.toml, which build.rs has read.

use std::borrow::Cow;
use std::time::Duration;

use crate::catalogue::{Catalogue, Kind, Limits, Server, Source};
use crate::signals::Signal;

/// The servers of Swift.
pub fn catalogue() -> Catalogue {
    include!(concat!(env!("OUT_DIR"), "/built_in.rs"))
}
