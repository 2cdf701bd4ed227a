//! The vocabulary of the tools, as pure data: the row that flows between them, its states and reasons,
//! the catalogue of servers, the paths of configs and pid files, and INI files.

pub mod catalogue;
pub mod config;
pub mod ini;
pub mod instance;
pub mod names;
pub mod reason;
pub mod row;
pub mod state;
