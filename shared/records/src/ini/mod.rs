//! Configs in the form of Swift's own: `[section]`s of `key = value`, read as
//! Python's configparser reads them with the settings that Swift gives it
//! (readconf in swift/common/utils/config.py, PasteDeploy's loadwsgi.py).
//!
//! Pure data: who reads the files is [`crate::config`].

mod app;
mod interpolation;
mod model;
mod reader;

#[cfg(test)]
mod tests;

pub use interpolation::{Found, Value};
pub use model::{DEFAULT, Fault, Ini, Position};
